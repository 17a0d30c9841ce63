-- What the pages of both builders share: formulas as MathML, which browsers typeset by themselves, and tables that scroll
-- inside themselves, below their caption. A filter of Pandoc's.
--
-- Pandoc's MathML is mended where browsers take it otherwise than TeX does, and cut into pieces between which a formula
-- wider than its column may break (styles.css). The number of a display stands beside what scrolls, so it stays in sight.

local SIGNS = "= &lt; &gt; ≤ ≥ ≠ ≈ ∼ ≡ → ⇔ ⟺ ↦ ∈ ∉ + − ± ⋅ ×"
local breaks = {}
for sign in SIGNS:gmatch("%S+") do breaks[sign] = true end

-- Named operators have TeX's spaces, norms TeX's height, accents the signs that fonts place well.
local function mend(xml)
  xml = xml:gsub('()<mrow><mi mathvariant="normal">(%a+)</mi><mo>&#8289;</mo></mrow>()', function(from, name, to)
    local before, after = xml:sub(1, from - 1), xml:sub(to)
    local left = before:match("</m[^o]%a*>$") or before:match('postfix">[^<]*</mo>$')
    local right = not after:match('^<mo[^>]*form="prefix"') and not after:match("^</m[^s]") and after ~= ""
    name = name:gsub("^(lim)(%a+)$", "%1\u{2009}%2")
    return ('<mo lspace="%s" rspace="%s">%s</mo>'):format(left and "0.167em" or 0, right and "0.167em" or 0, name)
  end)
  xml = xml:gsub("(</mo><m%a+>)<mo>∑", '%1<mo lspace="0">∑'):gsub("^(<mrow><m%a+>)<mo>∑", '%1<mo lspace="0">∑')
  xml = xml:gsub('stretchy="true"( form="%a+">‖)', 'stretchy="false"%1')
  xml = xml:gsub('<mo accent="true">\u{303}</mo>', '<mo stretchy="false">˜</mo>')
  return (xml:gsub("<mover>", '<mover accent="true">'))
end

-- The outermost mrow in phrases, between wide spaces, of groups, each of which begins at a sign outside all brackets.
local function pieces(xml)
  local inner = xml:match("^<mrow>(.*)</mrow>$") or xml
  local depth, brackets, last, out = 0, 0, 1, { "<mrow><mrow>" }
  local function cut(at, between)
    table.insert(out, inner:sub(last, at - 1) .. between)
    last = at
  end
  for from, slash, tag, rest, text in inner:gmatch("()<(/?)(%a+)([^>]*)>([^<]*)") do
    local form = rest:match('form="(%a+)"')
    brackets = brackets + (form == "prefix" and 1 or form == "postfix" and -1 or 0)
    if depth + brackets == 0 then
      if tag == "mo" and breaks[text] then cut(from, "</mrow><mrow>") end
      if rest:match('width="[12]') then cut(from, "</mrow></mrow>\0") end
    end
    depth = depth + (slash == "" and 1 or -1)
  end
  cut(#inner + 1, "</mrow></mrow>")
  -- a sign that begins a group stands between two things all the same
  xml = table.concat(out):gsub("%z(<mspace[^>]*></mspace>)", "%1<mrow><mrow>")
  return (xml:gsub("<mrow><mo>", '<mrow><mo form="infix">'))
end

local function typeset(math, attributes)
  local html = pandoc.write(pandoc.Pandoc { pandoc.Plain { math } }, "html", { html_math_method = "mathml" })
  return "<math" .. attributes .. ">" .. pieces(mend(html:match("<semantics>(.*)<annotation"))) .. "</math>"
end

local function raw(text) return pandoc.RawInline("html", text) end

local function display(math, number)
  local scroll = '<span class="math display"><span class="scroll">%s</span>%s</span>'
  local shown = number and '<span class="number">(' .. number .. ")</span>" or ""
  return raw(scroll:format(typeset(math, ' display="block"'), shown))
end

return { {
  Span = function(span)
    local math = span.content[1]
    if not span.identifier:match("^eq%-") or math.t ~= "Math" then return end
    local text, number = math.text:match("^(.*)\\qquad%((.-)%)$") -- as Quarto writes it
    span.content = { display(pandoc.Math("DisplayMath", text), number) }
    return span, false
  end,
}, {
  Inlines = function(inlines)
    local out = pandoc.Inlines {}
    for i, one in ipairs(inlines) do
      local before, after = out[#out], inlines[i + 1]
      if one.t ~= "Math" then
        out:insert(one)
      elseif one.mathtype == "DisplayMath" then
        out:insert(display(one))
      else
        -- no line ends between a formula and the bracket, point, hyphen or letters that touch it
        local head, tail = "", ""
        if before and before.t == "Str" then before.text, head = before.text:match("^(.-)([(%[“]*)$") end
        if after and after.t == "Str" then
          local dash = after.text:find("\xE2\x80[\x93\x94]") or #after.text + 1
          tail, after.text = after.text:sub(1, dash - 1), after.text:sub(dash)
        end
        local formula = '<span class="math inline">' .. typeset(one, "") .. "</span>"
        out:extend { raw('<span class="together">' .. head .. formula), pandoc.Str(tail), raw("</span>") }
      end
    end
    return out
  end,
  Table = function(tbl)
    local caption, id = tbl.caption.long, tbl.identifier
    tbl.caption, tbl.identifier = { long = {} }, ""
    local scroll = pandoc.Div({ tbl }, { class = "scroll" })
    if #caption == 0 then return scroll end
    local start = pandoc.RawBlock("html", '<figure class="table" id="' .. id .. '"><figcaption>')
    local middle, stop = pandoc.RawBlock("html", "</figcaption>"), pandoc.RawBlock("html", "</figure>")
    return { start, pandoc.Plain(caption[1].content), middle, scroll, stop }
  end,
} }
