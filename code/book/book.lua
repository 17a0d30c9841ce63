-- Numbers the whole book at once, resolves its references and gives its blocks the format's form: a filter of Pandoc's.
--
-- Before each chapter stands a div .chapter with the attributes `file` and `part`, empty where none begins; from the part
-- Appendices on, chapters are appendices. Numbers follow Quarto's books: by chapter, each kind of block for itself. What
-- is not known is said on standard error, all of it, and the exit status is 1.

local STATEMENTS = { thm = "Theorem", lem = "Lemma", prp = "Proposition", cor = "Corollary", def = "Definition",
  exm = "Example", rem = "Remark" }
local WORDS = setmetatable({ fig = "Figure", tbl = "Table", eq = "Equation", sec = "Section" }, { __index = STATEMENTS })
local CALLOUTS = { note = "Note", tip = "Tip", warning = "Warning" }

local Blocks, Inlines, Plain, Span, Str, Space =
  pandoc.Blocks, pandoc.Inlines, pandoc.Plain, pandoc.Span, pandoc.Str, pandoc.Space
local latex, labels, problems, chapters, entries = FORMAT == "latex", {}, {}, {}, {}
local chapter, appendix, folded, silent = nil, false, false, false -- the one at hand
local opened = { [true] = 0, [false] = 0 } -- how many appendices and chapters have a number

local function fail(message) table.insert(problems, chapter.file .. ": " .. message) end
local function words(block) return "“" .. pandoc.utils.stringify(block):sub(1, 40) .. "”" end
local function raw(text) return pandoc.RawInline(latex and "latex" or "html", text) end
local function rawblock(text) return pandoc.RawBlock(latex and "latex" or "html", text) end
local function kind_of(label) return label:match("^(%l+)%-") or "" end

local function define(label, word, number)
  if labels[label] then fail("the label " .. label .. " is already defined in " .. labels[label].file) end
  labels[label] = { word = word, number = number, file = chapter.file, page = chapter.page }
  return number
end

-- The next number of this kind of block in this chapter, as "3.2", recorded under its label.
local function enumerate(label)
  local kind = kind_of(label)
  if not chapter.number and (opened[false] > 0 or STATEMENTS[kind]) then
    fail(label .. " stands in a chapter without a number")
  end
  chapter[kind] = (chapter[kind] or 0) + 1
  return define(label, WORDS[kind], (chapter.number and chapter.number .. "." or "") .. chapter[kind])
end

local function section(header)
  local level, word, numbered, number = header.level, "Section", not header.classes:includes("unnumbered"), nil
  if level == 1 then
    if chapter.id then fail("a second # heading: " .. words(header)) end
    chapter.id, word = chapter.id or header.identifier, appendix and "Appendix" or "Chapter"
    if numbered then
      opened[appendix] = opened[appendix] + 1
      number = appendix and string.char(64 + opened[appendix]) or tostring(opened[appendix])
    end
    chapter.number = number
  elseif numbered and chapter.number then
    chapter[level] = (chapter[level] or 0) + 1
    for deeper = level + 1, 6 do chapter[deeper] = 0 end
    number = chapter.number
    for upto = 2, level do number = number .. "." .. (chapter[upto] or 0) end
  else
    header.classes:insert("unnumbered")
  end
  if kind_of(header.identifier) == "sec" then define(header.identifier, word, number) end
  header.attributes.number = word == "Appendix" and number and "Appendix " .. number .. " —" or number
  return header
end

-- The heading that opens a block is its title, not a section.
local function take_title(div)
  if div.content[1] and div.content[1].t == "Header" then return div.content:remove(1).content end
end

-- A LaTeX environment, or a div whose first paragraph opens with `head`.
local function environment(div, name, arguments, head)
  local first, last = div.content[1], div.content[#div.content]
  if latex then
    local ending = raw("\\end{" .. name .. "}")
    -- on the last line, where a proof's mark belongs
    if last and last.t == "Para" then last.content:insert(ending) else div.content:insert(Plain { ending }) end
    div.content:insert(1, Plain(Inlines { raw("\\begin{" .. name .. "}") } .. arguments))
    return pandoc.Div(div.content)
  end
  if first and first.t == "Para" then first.content = head .. first.content else div.content:insert(1, Plain(head)) end
  return pandoc.Div(div.content, { id = div.identifier, class = name == "proof" and name or "theorem " .. name })
end

local function statement(div)
  local label, word, title = div.identifier, STATEMENTS[kind_of(div.identifier)], take_title(div)
  local head, arguments = Inlines { Str(word .. "\u{a0}" .. enumerate(label)) }, Inlines {}
  if title then
    head = head .. { Space(), Str("(") } .. title .. { Str(")") }
    arguments = arguments .. { raw("[{") } .. title .. { raw("}]") }
  end
  local shown = Inlines { Span(pandoc.Strong(head), { class = "theorem-title" }), Space() }
  return environment(div, word:lower(), arguments .. { raw("\\label{" .. label .. "}") }, shown)
end

-- A title says of what: the preamble makes "Proof of Theorem 2.4." of it.
local function proof(div)
  local title, arguments, head = take_title(div), Inlines {}, Inlines { pandoc.Emph("Proof") }
  if title then
    arguments = Inlines { raw("[") } .. title .. { raw("]") }
    head = head .. { Space(), Str("(") } .. title .. { Str(")") }
  end
  return environment(div, "proof", arguments, Inlines { Span(head .. { Str(".") }), Space() })
end

local function callout(div, name)
  local title, fold = take_title(div) or Inlines { Str(div.attributes.title or CALLOUTS[name]) }, div.attributes.collapse
  if latex then
    return environment(div, "callout", Inlines { raw("{callout-" .. name .. "}{") } .. title .. { raw("}") })
  end
  local class, head = "callout callout-" .. name, Plain { Span(title, { class = "callout-title" }) }
  if not fold then return pandoc.Div({ head } .. div.content, { class = class }) end
  local start = '<details class="' .. class .. '"' .. (fold == "false" and " open" or "") .. "><summary>"
  return pandoc.Div({ rawblock(start), head, rawblock("</summary>") } .. div.content .. { rawblock("</details>") })
end

local function open(div)
  chapter = { file = div.attributes.file, part = div.attributes.part, page = string.format("%03d.html", #chapters + 1) }
  table.insert(chapters, chapter)
  chapters[chapter.file] = chapter
  appendix = appendix or chapter.part == "Appendices"
  if not latex or chapter.part == "" then return {} end
  local start = "\\cleardoublepage\\phantomsection\\addcontentsline{toc}{part}{" .. chapter.part .. "}\\appendix"
  return rawblock(appendix and start or "\\part{" .. chapter.part .. "}")
end

local function image(img)
  img.caption = img.attributes["fig-alt"] or img.caption
  img.attributes["fig-alt"] = nil
  if not img.src:match("%.%w+$") then img.src = img.src .. (latex and ".pdf" or ".svg") end -- a chunk's has both
  img.src = pandoc.path.normalize(pandoc.path.join { pandoc.path.directory(chapter.file), img.src })
  return img
end

-- Figures side by side, each with a caption of its own; the last paragraph is the caption of all.
local function panels(div)
  local label, caption, shown, row = div.identifier, div.content:remove().content, Blocks {}, Inlines {}
  local head = Inlines { Str(WORDS.fig .. "\u{a0}" .. enumerate(label) .. ":"), Space() }
  for i, panel in ipairs(div.content) do
    local img, text = image(panel.content[1].content[1]), panel.caption.long[1].content
    local letter = Inlines { Str("(" .. string.char(96 + i) .. ")"), Space() }
    row:extend(Inlines { raw("\\begin{minipage}[t]{0.5\\linewidth}\\centering "), img, raw("\\subcaption{") } .. text
      .. { raw("}\\end{minipage}\\hspace{0pt}") }) -- where the line may end
    shown:insert(pandoc.Figure({ Plain { img } }, { long = { Plain(letter .. text) } }))
  end
  if not latex then
    return pandoc.Figure({ pandoc.Div(shown, { class = "panels" }) }, { long = { Plain(head .. caption) } }, label), false
  end
  local ending = { raw("}\\label{" .. label .. "}\\end{figure}") }
  return Plain(Inlines { raw("\\begin{figure}\\centering ") } .. row .. { raw("\\caption{") } .. caption .. ending), false
end

local function block(div)
  if div.classes[1] == "chapter" then return open(div) end
  local class, name = table.concat(div.classes, " ."), div.classes[1] and div.classes[1]:match("^callout%-(%l+)$")
  for key in pairs(div.attributes) do
    if not name or key ~= "title" and key ~= "collapse" then fail("the attribute " .. key .. " of " .. words(div)) end
  end
  if STATEMENTS[kind_of(div.identifier)] and class == "" then return statement(div) end
  if class == "panels" then return panels(div) end
  if class == "proof" and div.identifier == "" then return proof(div) end
  if CALLOUTS[name] and not div.classes[2] then return callout(div, name) end
  if div.identifier ~= "refs" or class ~= "" then
    fail("the block {#" .. div.identifier .. " ." .. class .. "} is not supported: " .. words(div))
  end
end

-- LaTeX counts figures and tables by itself.
local function captioned(block)
  local label, kind, text = block.identifier, block.t == "Figure" and "fig" or "tbl", block.caption.long
  if kind_of(label) ~= kind then
    if #text > 0 then fail("a caption needs a label {#" .. kind .. "-…}: " .. words(text)) end
    return
  end
  local head = Inlines { Str(WORDS[kind] .. "\u{a0}" .. enumerate(label) .. ":"), Space() }
  if latex then return block end
  local caption = Plain(head .. (text[1] and text[1].content or {}))
  if kind == "fig" then
    block.caption.long = { caption }
    return block
  end
  -- outside the table, which may scroll
  block.caption.long, block.identifier = {}, ""
  local start = rawblock('<figure class="table" id="' .. label .. '"><figcaption>')
  return { start, caption, rawblock("</figcaption>"), block, rawblock("</figure>") }
end

-- A displayed formula with a label comes as a span.
local function equation(span)
  local label, math = span.identifier, span.content[1]
  if kind_of(label) ~= "eq" then return end
  local number = enumerate(label)
  if latex then return raw("\\begin{equation}\\label{" .. label .. "}" .. math.text .. "\\end{equation}") end
  span.content = { pandoc.Math("DisplayMath", math.text .. "\\tag{" .. number .. "}") }
  return span
end

local function typed(inlines)
  for _, one in ipairs(inlines) do
    if one.t == "Str" and (one.text:match("^{#") or one.text:match("^:::")) then
      fail(one.text .. " is left as it was typed: " .. words(inlines))
    end
  end
end

local function cell_code(code)
  if not code.classes:includes("cell-code") then return end
  if silent then return {} end
  if latex or not folded then return end
  local start = rawblock('<details class="code-fold"><summary>Code</summary>')
  return { start, code, rawblock("</details>") }, false
end

local function only_macros(el)
  if el.format == "tex" and not el.text:match("^%s*\\providecommand") then
    fail("LaTeX outside a formula, which the pages would lose: " .. el.text:sub(1, 40))
  end
end

local number = {
  traverse = "topdown", Header = section, Div = block, Figure = captioned, Table = captioned, Image = image,
  Span = equation, Inlines = typed, RawBlock = only_macros, RawInline = only_macros, CodeBlock = cell_code,
}

local function references(cite)
  local out, foreign = Inlines {}, 0
  for i, one in ipairs(cite.citations) do
    local to = labels[one.id] or {}
    if not WORDS[kind_of(one.id)] then
      foreign = foreign + 1
      if not entries[one.id] then fail("no entry @" .. one.id .. " in the bibliography") end
    elseif not to.number then
      fail((to.file and "the section has no number: @" or "unresolved reference @") .. one.id)
    else
      if #one.suffix > 0 then fail("words after @" .. one.id .. " inside its brackets would be lost") end
      local word = #one.prefix > 0 and one.prefix .. { Str("\u{a0}") }
        or Inlines { Str(one.mode == "SuppressAuthor" and "" or to.word .. "\u{a0}") }
      if i > 1 then out:extend { Str(","), Space() } end
      out:extend(latex and word .. { raw("\\ref{" .. one.id .. "}") }
        or { pandoc.Link(word .. { Str(to.number) }, to.page .. "#" .. one.id) })
    end
  end
  if foreign == 0 then return out end
  if foreign < #cite.citations then fail("references and citations in the same brackets: " .. words(cite)) end
end

-- A link to another chapter names its source; Pandoc knows on which page an address of the book is.
local function link(a)
  local path, anchor = a.target:match("^([^:#]*%.qmd)(#?.*)$")
  if not path then return end
  local other = chapters[pandoc.path.normalize(pandoc.path.join { pandoc.path.directory(chapter.file), path })]
  if not other then fail("a link to " .. a.target .. ", which is no chapter") return end
  a.target = anchor ~= "" and anchor or "#" .. other.id
  return a
end

function Pandoc(doc)
  for _, entry in ipairs(pandoc.utils.references(doc)) do entries[entry.id] = true end
  folded, silent = doc.meta["code-fold"], doc.meta.echo == false
  doc = doc:walk(number)
  local i = 0
  doc = doc:walk {
    traverse = "topdown", Cite = references, Link = link,
    Header = function(header)
      if chapters[i + 1] and chapters[i + 1].id == header.identifier then i = i + 1 end
      chapter = chapters[i]
    end,
  }
  if #problems > 0 then
    io.stderr:write(table.concat(problems, "\n") .. "\n")
    os.exit(1)
  end
  if latex then return doc end
  local toc, blocks, contents = pandoc.structure.table_of_contents(doc, PANDOC_WRITER_OPTIONS).content, Blocks {}, {}
  local start = rawblock('<div class="at-right"><details class="on-this-page contents"><summary>On this page</summary><nav aria-label="On this page">')
  for _, one in ipairs(doc.blocks) do
    if one.t == "Header" and one.level > 1 then
      local name = { class = "permalink", ["aria-label"] = "Link to this section" }
      one.content:extend { Space(), pandoc.Link("#", "#" .. one.identifier, "", name) }
    end
    blocks:insert(one)
    if one.t == "Header" and one.level == 1 then
      i = i % #chapters + 1
      local entry, here = toc[i][1], toc[i][2]
      if chapters[i].part ~= "" then table.insert(contents, { Plain { Span(chapters[i].part, { class = "part" }) } }) end
      entry.content[1].identifier, entry.content[1].target = "", chapters[i].page
      table.insert(contents, { entry })
      if here then blocks:extend { start, here, rawblock("</nav></details></div>") } end
    end
  end
  doc.blocks, doc.meta.sidebar = blocks, pandoc.MetaBlocks { pandoc.BulletList(contents) }
  return doc
end
