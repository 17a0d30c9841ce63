-- Reads the chapters, numbers the whole book at once, resolves its references and gives its blocks the format's form.
--
-- Both a reader and a filter of Pandoc's. The document is a list of divs, one a chapter, with the attribute `file`; the
-- metadata `parts` and `appendices` hold, by file, the title of the part that a chapter opens, and which chapters are
-- appendices. Numbers follow Quarto's books: by chapter, each kind of block for itself. What is not known is said on
-- standard error, all of it, and the exit status is 1.

local STATEMENTS = { thm = "Theorem", lem = "Lemma", prp = "Proposition", cor = "Corollary", def = "Definition",
  exm = "Example", rem = "Remark" }
local WORDS = { fig = "Figure", tbl = "Table", eq = "Equation", sec = "Section" }
for kind, word in pairs(STATEMENTS) do WORDS[kind] = word end
local CALLOUTS = { note = "Note", tip = "Tip", warning = "Warning", important = "Important", caution = "Caution" }

local Inlines, Plain, Span, Str, Space = pandoc.Inlines, pandoc.Plain, pandoc.Span, pandoc.Str, pandoc.Space
local latex, labels, problems, chapters, known = FORMAT == "latex", {}, {}, {}, {}
local chapter, counts, opened = nil, {}, { chapters = 0, appendices = 0 }

local function fail(message) table.insert(problems, chapter.file .. ": " .. message) end
local function words(block) return "“" .. pandoc.utils.stringify(block):sub(1, 40) .. "”" end
local function raw(text) return pandoc.RawInline(latex and "latex" or "html", text) end
local function rawblock(text) return pandoc.RawBlock(latex and "latex" or "html", text) end
local function kind_of(label) return label:match("^(%l+)%-") or "" end

local function define(label, word, number)
  if labels[label] then fail("the label " .. label .. " is already defined in " .. labels[label].file) end
  labels[label] = { word = word, number = number, file = chapter.file, page = chapter.page }
end

-- The next number of this kind of block in this chapter, as "3.2", recorded under its label.
local function enumerate(label)
  local kind = kind_of(label)
  if not chapter.number and (opened.chapters > 0 or STATEMENTS[kind]) then
    fail(label .. " stands in a chapter without a number")
  end
  counts[kind] = (counts[kind] or 0) + 1
  local number = (chapter.number and chapter.number .. "." or "") .. counts[kind]
  define(label, WORDS[kind], number)
  return number
end

local function section(header)
  local level, numbered, number, shown = header.level, not header.classes:includes("unnumbered"), nil, nil
  if level == 1 then
    if chapter.title then fail("a second # heading: " .. words(header)) end
    chapter.title, counts = header.content:clone(), {}
    if numbered then
      local series = chapter.appendix and "appendices" or "chapters"
      opened[series] = opened[series] + 1
      number = chapter.appendix and string.char(64 + opened[series]) or tostring(opened[series])
      shown = { Span(chapter.appendix and "Appendix " .. number .. " —" or number, { class = "chapter-number" }),
        Str("\u{a0}"), Space() }
    end
    chapter.number = number
  elseif numbered and chapter.number then
    counts[level] = (counts[level] or 0) + 1
    for deeper = level + 1, 6 do counts[deeper] = 0 end
    number = chapter.number
    for upto = 2, level do number = number .. "." .. (counts[upto] or 0) end
    shown = { Span(number, { class = "header-section-number" }), Space() }
  elseif numbered then
    header.classes:insert("unnumbered")
  end
  if kind_of(header.identifier) == "sec" then
    define(header.identifier, level > 1 and "Section" or chapter.appendix and "Appendix" or "Chapter", number)
  else -- headings of the same words in two chapters need labels
    define(header.identifier)
  end
  if number and not latex then
    header.attributes.number = number
    header.content = shown .. header.content
  end
  return header
end

-- The heading that opens a block is its title, not a section.
local function take_title(div)
  if div.content[1] and div.content[1].t == "Header" then return div.content:remove(1).content end
end

local function details(class, open, summary, content)
  local start = '<details class="' .. class .. '"' .. (open and " open" or "") .. "><summary>"
  local head = pandoc.Blocks { rawblock(start), summary, rawblock("</summary>") }
  return head .. pandoc.Blocks(content) .. { rawblock("</details>") }
end

-- A LaTeX environment, or a div whose first paragraph opens with `head`.
local function environment(div, name, arguments, head, attributes)
  if latex then
    local last, ending = div.content[#div.content], raw("\\end{" .. name .. "}")
    -- on the last line, where a proof's mark belongs
    if last and last.t == "Para" then last.content:insert(ending) else div.content:insert(Plain { ending }) end
    div.content:insert(1, Plain(Inlines { raw("\\begin{" .. name .. "}") } .. arguments))
    return pandoc.Div(div.content)
  end
  local first = div.content[1]
  if first and first.t == "Para" then first.content = head .. first.content else div.content:insert(1, Plain(head)) end
  return pandoc.Div(div.content, attributes)
end

local function statement(div)
  local label, word, title = div.identifier, STATEMENTS[kind_of(div.identifier)], take_title(div)
  local head, arguments = Inlines { Str(word .. "\u{a0}" .. enumerate(label)) }, Inlines {}
  if title then
    head = head .. { Space(), Str("(") } .. title .. { Str(")") }
    arguments = arguments .. { raw("[{") } .. title .. { raw("}]") }
  end
  local shown = Inlines { Span(pandoc.Strong(head), { class = "theorem-title" }), Space() }
  return environment(div, word:lower(), arguments .. { raw("\\label{" .. label .. "}") }, shown,
    { id = label, class = "theorem " .. word:lower() })
end

local function proof(div)
  if take_title(div) then fail("a proof with a title: " .. words(div)) end
  local head = Inlines { Span({ pandoc.Emph("Proof"), Str(".") }, { class = "proof-title" }), Space() }
  return environment(div, "proof", {}, head, { class = "proof" })
end

local function callout(div, name)
  local title = take_title(div) or Inlines { Str(div.attributes.title or CALLOUTS[name]) }
  if latex then
    return environment(div, "callout", Inlines { raw("{callout-" .. name .. "}{") } .. title .. { raw("}") })
  end
  local fold, class = div.attributes.collapse, "callout callout-" .. name
  title = Plain { Span(title, { class = "callout-title" }) }
  if not fold then return pandoc.Div({ title } .. div.content, { class = class }) end
  return details(class, fold == "false", title, div.content)
end

local function block(div)
  local class, kind = table.concat(div.classes, " ."), kind_of(div.identifier)
  local name = class:match("^callout%-(%l+)$")
  for key in pairs(div.attributes) do
    if not name or key ~= "title" and key ~= "collapse" then fail("the attribute " .. key .. " of " .. words(div)) end
  end
  if STATEMENTS[kind] and class == "" then return statement(div) end
  if class == "proof" and div.identifier == "" then return proof(div) end
  if CALLOUTS[name] then return callout(div, name) end
  if div.identifier == "refs" and class == "" then known.listed = true return end
  fail("the block {#" .. div.identifier .. " ." .. class .. "} is not supported: " .. words(div))
end

-- LaTeX counts figures and tables by itself.
local function captioned(label, caption)
  local number = enumerate(label)
  local head = Inlines { Str(WORDS[kind_of(label)] .. "\u{a0}" .. number .. ":"), Space() }
  if not latex then caption.long = { Plain(head .. (caption.long[1] and caption.long[1].content or {})) } end
  return caption
end

local function image(img)
  img.caption = img.attributes["fig-alt"] or img.caption
  img.attributes["fig-alt"] = nil
  if not img.src:match("%.%w+$") then img.src = img.src .. (latex and ".pdf" or ".svg") end -- a chunk's has both
  img.src = pandoc.path.normalize(pandoc.path.join { pandoc.path.directory(chapter.file), img.src })
  return img
end

local function equations(inlines)
  local out, i = Inlines {}, 1
  while i <= #inlines do
    local math, after = inlines[i], i + 1
    if math.t == "Math" and inlines[after] and inlines[after].t == "Space" then after = after + 1 end
    local typed = inlines[after] and inlines[after].t == "Str" and inlines[after].text or ""
    local label = math.t == "Math" and math.mathtype == "DisplayMath" and typed:match("^{#(eq%-[%w-]+)}$")
    if label then
      local number = enumerate(label)
      out:insert(latex and raw("\\begin{equation}\\label{" .. label .. "}" .. math.text .. "\\end{equation}")
        or Span(pandoc.Math("DisplayMath", math.text .. "\\tag{" .. number .. "}"), { id = label }))
    elseif math.t == "Str" and (math.text:match("^{#") or math.text:match("^:::+$")) then
      fail(math.text .. " is left as it was typed: " .. words(inlines))
    else
      out:insert(math)
    end
    i = label and after + 1 or i + 1
  end
  return out
end

local function only_macros(el)
  if el.format == "tex" and not el.text:match("^%s*\\providecommand") then
    fail("LaTeX outside a formula, which the pages would lose: " .. el.text:sub(1, 40))
  end
end

local number = {
  traverse = "topdown", Header = section, Div = block, Inlines = equations, Image = image,
  RawBlock = only_macros, RawInline = only_macros,
  CodeBlock = function(code)
    local fold = code.attributes.fold
    code.attributes.fold = nil
    if not fold or latex then return code end
    return details("code-fold", fold == "show", Plain { Str("Code") }, { code }), false
  end,
  Figure = function(figure)
    if kind_of(figure.identifier) == "fig" then figure.caption = captioned(figure.identifier, figure.caption) end
    return figure
  end,
  Table = function(tbl)
    local label, caption = tbl.identifier, tbl.caption
    if kind_of(label) == "tbl" then
      caption = captioned(label, caption)
      if latex then return end
      tbl.identifier, tbl.caption = "", {}
      return pandoc.Figure({ tbl }, caption, { id = label, class = "table" }), false
    end
    if #caption.long > 0 then fail("a table with a caption needs a label {#tbl-…}: " .. words(caption.long)) end
  end,
}

local function references(cite)
  local out, foreign = Inlines {}, 0
  for i, one in ipairs(cite.citations) do
    local to = labels[one.id] or {}
    if not WORDS[kind_of(one.id)] then
      foreign = foreign + 1
      if not known[one.id] then fail("no entry @" .. one.id .. " in the bibliography") end
    elseif not to.number then
      fail((to.file and "the section has no number: @" or "unresolved reference @") .. one.id)
    else
      if #one.suffix > 0 then fail("words after @" .. one.id .. " inside its brackets would be lost") end
      local word = #one.prefix > 0 and one.prefix .. { Str("\u{a0}") }
        or Inlines { Str(one.mode == "SuppressAuthor" and "" or to.word .. "\u{a0}") }
      if i > 1 then out:extend { Str(","), Space() } end
      out:extend(latex and word .. { raw("\\ref{" .. one.id .. "}") }
        or { pandoc.Link(word .. { Str(to.number) }, to.page .. "#" .. one.id, "", { class = "xref" }) })
    end
  end
  if foreign == 0 then return out end
  if foreign < #cite.citations then fail("references and citations in the same brackets: " .. words(cite)) end
end

-- A link to another chapter names its source; Pandoc knows the page of every other address in the book.
local function link(a)
  local path, anchor = a.target:match("^([^:#]*%.qmd)(#?.*)$")
  if not path then return end
  local other = chapters[pandoc.path.normalize(pandoc.path.join { pandoc.path.directory(chapter.file), path })]
  if not other then fail("a link to " .. a.target .. ", which is no chapter") return end
  a.target = latex and (anchor ~= "" and anchor or "#" .. other.id) or other.page .. anchor
  return a
end

local function pages(doc, blocks)
  local contents = {}
  for i, div in ipairs(doc.blocks) do
    local this, here = chapters[i], pandoc.structure.table_of_contents(div.content)
    if this.part then table.insert(contents, { Plain { Span(this.part, { class = "part" }) } }) end
    local shown = this.number and { Span(this.number, { class = "chapter-number" }), Space() } or {}
    table.insert(contents, { Plain { pandoc.Link(Inlines(shown) .. this.title, this.page) } })
    blocks:insert(div.content:remove(1))
    here = here.content[1][2] -- below the chapter's own title
    if here then
      blocks:extend { rawblock('<aside><nav class="on-this-page" aria-label="On this page"><h2>On this page</h2>'), here,
        rawblock("</nav></aside>") }
    end
    blocks:extend(div.content)
  end
  doc.meta.sidebar = pandoc.MetaBlocks { pandoc.BulletList(contents) }
end

local function one_document(doc, blocks)
  for i, div in ipairs(doc.blocks) do
    local this = chapters[i]
    local start = this.appendix and "\\cleardoublepage\\phantomsection\\addcontentsline{toc}{part}{" .. (this.part or "")
      .. "}\\appendix" or "\\part{" .. (this.part or "") .. "}"
    if this.part then blocks:insert(rawblock(start)) end
    blocks:extend(div.content)
  end
end

function Reader(sources, options)
  local blocks = pandoc.Blocks {}
  for _, source in ipairs(sources) do
    local doc = pandoc.read(source, "markdown-native_divs-native_spans", options) -- raw HTML stays as it is
    blocks:insert(pandoc.Div(doc.blocks, { file = source.name, yaml = next(doc.meta) and "yes" or nil }))
  end
  return pandoc.Pandoc(blocks)
end

function Pandoc(doc)
  for _, entry in ipairs(pandoc.utils.references(doc)) do known[entry.id] = true end
  for i, div in ipairs(doc.blocks) do
    local file, first = div.attributes.file, div.content[1]
    local part = doc.meta.parts[file]
    chapter = { file = file, page = string.format("%03d.html", i), id = first and first.identifier,
      part = part and pandoc.utils.stringify(part), appendix = doc.meta.appendices[file] }
    chapters[i], chapters[file] = chapter, chapter
    if div.attributes.yaml or not (first and first.t == "Header" and first.level == 1) then
      fail("a chapter opens with `# Title`, without YAML")
    end
  end
  for _, filter in ipairs { number, { Cite = references, Link = link } } do
    for i, div in ipairs(doc.blocks) do
      chapter = chapters[i]
      doc.blocks[i].content = div.content:walk(filter)
    end
  end
  if next(known) and not known.listed then fail("there are citations, but no chapter has the block ::: {#refs}") end
  if #problems > 0 then
    io.stderr:write(table.concat(problems, "\n") .. "\n")
    os.exit(1)
  end
  local blocks = pandoc.Blocks {};
  (latex and one_document or pages)(doc, blocks)
  doc.blocks, doc.meta.numbers = blocks, {}
  for label, to in pairs(labels) do doc.meta.numbers[label] = to.number end
  return doc
end
