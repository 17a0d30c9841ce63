return { {
  Str = function(word)
    if word.text == "MADE." then return "Made in " .. os.getenv("QUARTO_PROJECT_DIR"):match("%w+$") .. "." end
  end,
} }
