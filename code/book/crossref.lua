-- Numbers the whole book at once and resolves its cross-references and citations.
--
-- The document is a list of divs, one a chapter, with the attributes `file`, `page` (its HTML path), `root` (from
-- the page to the site's root) and `appendix`. Metadata: `target` (html or latex) and `labels` (a file to write).
-- Numbers follow Quarto's books: by chapter, and each type of block for itself.

local THEOREMS = {
  thm = { "Theorem", "theorem" }, lem = { "Lemma", "lemma" }, prp = { "Proposition", "proposition" },
  cor = { "Corollary", "corollary" }, def = { "Definition", "definition" }, exm = { "Example", "example" },
  rem = { "Remark", "remark" },
}
local WORDS = { fig = "Figure", tbl = "Table", eq = "Equation", sec = "Section" }
for prefix, names in pairs(THEOREMS) do WORDS[prefix] = names[1] end
local CALLOUTS = { ["callout-note"] = "Note", ["callout-tip"] = "Tip", ["callout-warning"] = "Warning" }
local GENERATED = { [""] = true, cell = true, caption = true, ["callout-title"] = true }

local target, labels, order, problems = nil, {}, {}, {}
local chapters, appendices, chapter, counts = 0, 0, {}, {}

local function latex() return target == "latex" end
local function raw(text) return pandoc.RawInline(target, text) end
local function rawblock(text) return pandoc.RawBlock(target, text) end
local function fail(message) table.insert(problems, chapter.file .. ": " .. message) end
local function kind(label) return label:match("^(%l+)%-") end

local function define(label, word, number)
  if labels[label] then fail("the label " .. label .. " is defined twice") end
  labels[label] = { number = number, word = word, page = chapter.page }
  table.insert(order, label)
end

-- The next number of this kind of block in this chapter, as "3.2", recorded under its label.
local function enumerate(label)
  local prefix = kind(label)
  if not chapter.number and (chapters + appendices > 0 or THEOREMS[prefix]) then
    fail(label .. " stands in a chapter without a number")
  end
  counts[prefix] = (counts[prefix] or 0) + 1
  local number = (chapter.number and chapter.number .. "." or "") .. counts[prefix]
  define(label, WORDS[prefix], number)
  return number
end

local function take_title(div)
  local first = div.content[1]
  if first and first.t == "Header" then
    div.content:remove(1)
    return first.content
  end
end

local function lead(div, inlines)
  local first = div.content[1]
  if first and first.t == "Para" and not latex() then
    first.content = inlines .. first.content
  else
    div.content:insert(1, pandoc.Plain(inlines))
  end
end

local function theorem(div)
  local word, environment = table.unpack(THEOREMS[kind(div.identifier)])
  local label, title = div.identifier, take_title(div)
  local number = enumerate(label)
  if latex() then
    local start = pandoc.Inlines { raw("\\begin{" .. environment .. "}") }
    if title then start = start .. { raw("[{") } .. title .. { raw("}]") } end
    lead(div, start .. { raw("\\label{" .. label .. "}") })
    div.content:insert(rawblock("\\end{" .. environment .. "}"))
    return pandoc.Div(div.content)
  end
  local head = pandoc.Inlines { pandoc.Str(word .. "\u{a0}" .. number) }
  if title then head = head .. { pandoc.Space(), pandoc.Str("(") } .. title .. { pandoc.Str(")") } end
  lead(div, pandoc.Inlines { pandoc.Span(pandoc.Strong(head), { class = "theorem-title" }), pandoc.Space() })
  return pandoc.Div(div.content, pandoc.Attr(label, { "theorem", environment }))
end

local function proof(div)
  if take_title(div) then fail("a proof with a title: the PDF would lose the word Proof") end
  local last = div.content[#div.content]
  local ends = latex() and { raw("\\end{proof}") }
    or { pandoc.Str("\u{a0}"), pandoc.Span("∎", { class = "qed" }) }
  if last and last.t == "Para" then last.content:extend(ends) else div.content:insert(pandoc.Para(ends)) end
  if latex() then
    lead(div, pandoc.Inlines { raw("\\begin{proof}") })
    return pandoc.Div(div.content)
  end
  lead(div, pandoc.Inlines { pandoc.Span({ pandoc.Emph("Proof"), pandoc.Str(". ") }, { class = "proof-title" }) })
  return pandoc.Div(div.content, pandoc.Attr("", { "proof" }))
end

local function callout(div)
  local class = div.classes[1]
  local title = take_title(div) or pandoc.Inlines { pandoc.Str(CALLOUTS[class]) }
  if latex() then
    div.content:insert(1, pandoc.Plain(
      pandoc.Inlines { raw("\\begin{callout}{" .. class .. "}{") } .. title .. { raw("}") }))
    div.content:insert(rawblock("\\end{callout}"))
    return pandoc.Div(div.content)
  end
  div.content:insert(1, pandoc.Div(pandoc.Plain(title), pandoc.Attr("", { "callout-title" })))
  return pandoc.Div(div.content, pandoc.Attr("", { "callout", class }))
end

local function numbered(word, number, caption)
  local head = pandoc.Inlines { pandoc.Str(word .. "\u{a0}" .. number .. ":"), pandoc.Space() }
  return { pandoc.Plain(head .. (caption[1] and caption[1].content or {})) }
end

-- A figure or table that a chunk made: its last block, a div `caption`, becomes the caption.
local function float(div)
  local label, words = div.identifier, div.content:remove(#div.content).content[1].content
  words:remove(1) -- the word Caption: and the space after it
  if #words > 0 then words:remove(1) end
  local caption = { pandoc.Plain(words) }
  if kind(label) == "tbl" then
    for _, block in ipairs(div.content) do
      if block.t == "Table" then
        block.identifier, block.caption.long, label = label, caption, nil
        break
      end
    end
    if label then fail("the chunk " .. label .. " shows no table") end
    return pandoc.Div(div.content)
  end
  local number = enumerate(label)
  local image = div.content[1].content[1]
  if latex() then
    image.src = image.src .. ".pdf"
  else
    image.src = chapter.root .. image.src .. ".svg"
    caption = numbered("Figure", number, caption)
  end
  return pandoc.Figure(pandoc.Plain { image }, { long = caption }, pandoc.Attr(label))
end

local function cell(div)
  local fold = div.attributes["code-fold"]
  if not latex() and fold then
    div.content[1] = pandoc.Div {
      rawblock('<details class="code-fold"' .. (fold == "show" and " open" or "") .. "><summary>Code</summary>"),
      div.content[1], rawblock("</details>") }
  end
  return pandoc.Div(div.content, pandoc.Attr("", { "cell" }))
end

local function section(header)
  local numbered = not header.classes:includes("unnumbered")
  local number
  if header.level == 1 then
    counts = {}
    if numbered and chapter.appendix then
      appendices = appendices + 1
      number = string.char(64 + appendices)
    elseif numbered then
      chapters = chapters + 1
      number = tostring(chapters)
    end
    chapter.number = number
  elseif numbered and chapter.number then
    for level = header.level + 1, 6 do counts[level] = 0 end
    counts[header.level] = (counts[header.level] or 0) + 1
    number = chapter.number
    for level = 2, header.level do number = number .. "." .. (counts[level] or 0) end
  else
    header.classes = { "unnumbered" }
  end
  if kind(header.identifier) == "sec" then
    local word = header.level > 1 and "Section" or chapter.appendix and "Appendix" or "Chapter"
    define(header.identifier, word, number)
  elseif latex() then
    header.identifier = ""
  end
  if number and not latex() then
    header.attributes["data-number"] = number
    if header.level > 1 then
      header.content = { pandoc.Span(number, { class = "header-section-number" }), pandoc.Space() } .. header.content
    end
  end
  return header
end

local function equations(inlines)
  local out, i = pandoc.Inlines {}, 1
  while i <= #inlines do
    local math, after = inlines[i], i + 1
    if math.t == "Math" and math.mathtype == "DisplayMath" then
      if inlines[after] and inlines[after].t == "Space" then after = after + 1 end
    end
    local label = inlines[after] and inlines[after].t == "Str"
      and inlines[after].text:match("^{#(eq%-[%w-]+)}$")
    if label then
      local number = enumerate(label)
      if latex() then
        out:insert(raw("\\begin{equation}\\label{" .. label .. "}" .. math.text .. "\\end{equation}"))
      else
        out:insert(pandoc.Span(pandoc.Math("DisplayMath", math.text .. "\\tag{" .. number .. "}"), { id = label }))
      end
      i = after + 1
    else
      if math.t == "Str" and math.text:match("^{#") then fail(math.text .. " follows no display equation") end
      out:insert(math)
      i = i + 1
    end
  end
  return out
end

local number = {
  traverse = "topdown",
  Header = section,
  Inlines = equations,
  Div = function(div)
    local prefix, class = kind(div.identifier), div.classes[1] or div.identifier
    if THEOREMS[prefix] and #div.classes == 0 then return theorem(div) end
    if class == "proof" then return proof(div) end
    if CALLOUTS[class] then return callout(div) end
    if class == "float" then return float(div) end
    if class == "cell" and div.attributes["code-fold"] then return cell(div) end
    if not GENERATED[class] and class ~= "refs" then
      fail("the block ::: {#" .. div.identifier .. " ." .. table.concat(div.classes, " .") .. "}" .. " is not supported")
    end
  end,
  Table = function(tbl)
    local label = tbl.identifier
    if kind(label) == "tbl" then
      local number, caption = enumerate(label), tbl.caption.long
      if latex() then return nil end
      caption = numbered("Table", number, caption)
      tbl.identifier, tbl.caption = "", {}
      return pandoc.Figure({ tbl }, { long = caption }, pandoc.Attr(label, { "table" })), false
    end
    if #tbl.caption.long > 0 then fail("a table with a caption needs a label, {#tbl-…}") end
  end,
}

local function references(cite)
  local out, foreign = pandoc.Inlines {}, 0
  for i, one in ipairs(cite.citations) do
    local to = labels[one.id]
    if not WORDS[kind(one.id) or ""] then
      foreign = foreign + 1
    elseif not to then
      fail("unresolved reference @" .. one.id)
    else
      if not to.number then fail("@" .. one.id .. " refers to a section without a number") end
      if #one.suffix > 0 then fail("words after @" .. one.id .. " inside its brackets would be lost") end
      if i > 1 then out:extend { pandoc.Str(","), pandoc.Space() } end
      local ref = pandoc.Inlines {}
      if #one.prefix > 0 then
        ref = one.prefix .. { pandoc.Str("\u{a0}") }
      elseif one.mode ~= "SuppressAuthor" then
        ref:insert(pandoc.Str(to.word .. "\u{a0}"))
      end
      if latex() then
        out:extend(ref .. { raw("\\ref{" .. one.id .. "}") })
      else
        local page = to.page == chapter.page and "" or chapter.root .. to.page
        out:insert(pandoc.Link(ref .. { pandoc.Str(to.number or "") }, page .. "#" .. one.id, "", { class = "xref" }))
      end
    end
  end
  if foreign == 0 then return out end
  if foreign < #cite.citations then fail("references and citations in the same brackets") end
end

local function each_chapter(doc, action)
  doc.blocks = doc.blocks:map(function(div)
    local known = div.attributes
    chapter = { file = known.file, page = known.page, root = known.root, appendix = known.appendix == "true",
      number = known.number }
    local result = action(div)
    result.attributes.number = chapter.number
    return result
  end)
end

local function refuse_raw(el)
  if not (el.format == "tex" and el.text:match("^%s*\\providecommand")) then
    fail("raw " .. el.format .. " is not supported: " .. el.text)
  end
end

local function cite_sources(doc)
  local known, list_page = {}, nil
  for _, entry in ipairs(pandoc.utils.references(doc)) do known[entry.id] = true end
  each_chapter(doc, function(div)
    return div:walk {
      Cite = function(cite)
        for _, one in ipairs(cite.citations) do
          if not known[one.id] then fail("no entry @" .. one.id .. " in the bibliography") end
        end
      end,
      Div = function(inner) if inner.identifier == "refs" then list_page = chapter.page end end,
    }
  end)
  if next(known) and not list_page then fail("citations, but no chapter has the block ::: {#refs}") end
  if #problems > 0 then return doc end
  local latex_or_page = latex() and {} or {
    Link = function(link)
      if link.target:match("^#ref%-") and chapter.page ~= list_page then
        link.target = chapter.root .. list_page .. link.target
      end
      return link
    end,
  }
  doc = pandoc.utils.citeproc(doc)
  each_chapter(doc, function(div) return div:walk(latex_or_page) end)
  return doc
end

function Pandoc(doc)
  target = pandoc.utils.stringify(doc.meta.target)
  local steps = { { RawBlock = refuse_raw, RawInline = refuse_raw }, number, { Cite = references } }
  for _, step in ipairs(steps) do each_chapter(doc, function(div) return div:walk(step) end) end
  doc = cite_sources(doc)
  if #problems > 0 then
    io.stderr:write(table.concat(problems, "\n") .. "\n")
    os.exit(1)
  end
  local file = assert(io.open(pandoc.utils.stringify(doc.meta.labels), "w"))
  file:write(pandoc.json.encode(labels))
  file:close()
  if latex() then
    local blocks = pandoc.Blocks {}
    for _, div in ipairs(doc.blocks) do
      if div.attributes.before then blocks:insert(rawblock(div.attributes.before)) end
      blocks:extend(div.content)
    end
    doc.blocks = blocks
  end
  return doc
end
