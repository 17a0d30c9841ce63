return { {
  Str = function(word)
    local file = assert(io.open(os.getenv("QUARTO_PROJECT_DIR") .. "/made.txt"))
    if word.text == "MADE." then return "Made " .. file:read("a") .. "." end
  end,
} }
