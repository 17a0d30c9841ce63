from pathlib import Path

Path("made.txt").write_text("before")
