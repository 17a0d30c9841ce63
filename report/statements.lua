-- What both builders do before anything else: the feet of the statements, and what differs between pages and paper.
--
-- At the foot of a statement stands the Markdown that code/implicit_bias/api.py wrote for its label, and on the pages a
-- link to the statement itself. The page of the functions is not printed, and what would link to it is plain text.

local STATEMENT, paper = { thm = true, lem = true, prp = true, cor = true, def = true }, FORMAT == "latex"
local file = assert(io.open(os.getenv("QUARTO_PROJECT_DIR") .. "/.cache/feet.json"))
local feet = pandoc.json.decode(file:read("a"))[paper and "paper" or "pages"]
file:close()

local function statement(div)
  local label, name = div.identifier, { class = "permalink", ["aria-label"] = "Link to this statement" }
  div.content:extend(pandoc.read(feet[label] or "").blocks)
  if not paper then div.content:insert(pandoc.Plain { pandoc.Link("#", "#" .. label, "", name) }) end
  return div
end

-- A per cent sign stays with its number, and a number with the sign or the factor that is a formula beside it.
local function tied(one, space, other)
  if space.t ~= "Space" and space.t ~= "SoftBreak" then return false end
  if one.t == "Str" and one.text:match("%d$") then
    return other.t == "Str" and other.text:match("^%%") or other.t == "Math" and other.text:match("^\\times")
  end
  return one.t == "Math" and (one.text:match("[=<>]$") or one.text:match("\\approx$") or one.text:match("\\[lg]e$"))
end

return { {
  Inlines = function(inlines)
    for i = 2, #inlines - 1 do
      if tied(inlines[i - 1], inlines[i], inlines[i + 1]) then inlines[i] = pandoc.Str("\u{a0}") end
    end
    return inlines
  end,
}, {
  traverse = "topdown",
  Div = function(div)
    if div.classes:includes("html-only") then return paper and {} or div.content end
    if div.classes:includes("ragged") then
      if not paper then return div.content end
      local start, stop = pandoc.RawBlock("latex", "\\begin{flushleft}"), pandoc.RawBlock("latex", "\\end{flushleft}")
      return pandoc.Blocks { start } .. div.content .. { stop }
    end
    if STATEMENT[div.identifier:match("^(%l+)%-")] then return statement(div) end
  end,
  Link = function(link)
    if paper and link.target:match("#api%-") then return link.content end
  end,
} }
