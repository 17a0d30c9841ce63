"""The built book as a browser shows it, at three widths and in both themes, without a network.

The fixtures of the book and of the browser say when these tests are skipped.
"""

import base64
import re
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parent.parent
PAGES = ["index", *sorted(f"report/{file.stem}" for file in (ROOT / "report").glob("[!_]*.qmd"))]
AXE = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")

SHIFTS = """window.shift = 0; new PerformanceObserver((list) => {
  for (const one of list.getEntries()) shift += one.value;
}).observe({type: "layout-shift", buffered: true});"""
# Where a formula, its number or another part of the text is cut, or scrolls without a sign of it or not to its start.
CUT = """() => [...document.querySelectorAll("main *")].filter((it) => {
  if (!it.checkVisibility()) return false;
  if (it.scrollWidth > it.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(it).overflowX))
    return it.tabIndex < 0 || !it.ariaLabel || getComputedStyle(it).backgroundImage == "none";
  const {left, right} = it.getBoundingClientRect(), box = it.closest(".scroll[tabindex='0']");
  return box ? left < box.getBoundingClientRect().left - 1 : right > innerWidth + 1 && !it.closest("[tabindex='0']");
}).map((it) => it.outerHTML.slice(0, 200))"""
# The characters of a line, in paragraphs of text alone.
MEASURE = """() => [...document.querySelectorAll("main section > p")]
  .filter((p) => !p.querySelector("math") && p.textContent.length > 300)
  .map((p) => p.textContent.length / Math.round(p.clientHeight / parseFloat(getComputedStyle(p).lineHeight)))"""


def opened(browser: Browser, url: str, width: int, theme: str = "light") -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    page.add_init_script(SHIFTS)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    assert page.goto(url).ok
    assert [one for one in asked if not one.startswith((url[:20], "data:"))] == []
    return page


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_and_axe_finds_nothing(browser: Browser, address: str, name: str) -> None:
    for width, theme in ((1440, "light"), (1280, "light"), (390, "dark")):
        page = opened(browser, f"{address}/{name}.html", width, theme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT) == []
        if width != 1280:
            page.evaluate("document.querySelectorAll('math').forEach((math) => math.remove())")  # axe is slow on it
            page.evaluate(AXE)
            found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
            assert [(it["id"], it["nodes"][0]["html"]) for it in found if it["impact"] != "minor"] == [], (width, theme)
        page.close()


@pytest.mark.slow
def test_the_page_with_most_formulas_is_light_and_typeset_when_it_has_loaded(
    book: Path, browser: Browser, address: str
) -> None:
    name = max(PAGES, key=lambda name: (book / f"{name}.html").read_text("utf-8").count("<math"))
    page, sizes = browser.new_page(), []
    page.add_init_script(SHIFTS)
    page.on("response", lambda response: "/bootstrap" in response.url or sizes.append(len(response.body())))  # Quarto's
    page.goto(f"{address}/{name}.html", wait_until="load")
    assert page.evaluate("document.fonts.status == 'loaded' && document.fonts.check('1em \"STIX Two Math\"')")
    assert page.locator("math").count() > 500 and page.locator(".math:not(:has(math))").count() == 0
    assert all(box["width"] > 0 for box in [one.bounding_box() for one in page.locator("math").all()[:100]] if box)
    page.wait_for_timeout(1000)
    assert page.evaluate("shift") < 0.1
    assert sum(sizes) < 1e6


def test_the_font_has_every_character_of_the_formulas(book: Path) -> None:
    source = re.search('base64,([^"]*)', (book / "site_libs/mathematics.css").read_text())
    glyphs = TTFont(BytesIO(base64.b64decode(source[1]))).getBestCmap()
    pages = [BeautifulSoup((book / f"{name}.html").read_text("utf-8"), "html.parser") for name in PAGES]
    text = "√" + "".join(math.get_text() for page in pages for math in page.select("math"))
    assert set(map(ord, text)) <= set(glyphs)


@pytest.mark.slow
def test_lines_have_70_to_80_characters(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}/index.html", 1280)
    assert all(64 <= measure <= 82 for measure in page.evaluate(MEASURE)) and page.evaluate(MEASURE)


@pytest.mark.slow
def test_the_keyboard_reaches_text_and_contents_at_200_percent_and_no_formula(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}/report/problem-1.html", 640)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('.skip') && document.activeElement.checkVisibility()")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash && document.querySelector(location.hash).matches('main')")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') != null")
    page.locator("summary:text-is('Contents'), [aria-label='Toggle sidebar navigation']").first.press("Enter")
    page.locator("summary:text-is('On this page')").press("Enter")
    assert page.get_by_role("link", name="Notation").is_visible()
    assert page.get_by_role("link", name="1.6").first.is_visible()
    assert page.locator(".math [tabindex]:not(.scroll), math[tabindex]").count() == 0


@pytest.mark.slow
def test_the_keyboard_moves_the_curves_of_the_slider_and_without_a_script_the_still_figure_is_there(
    browser: Browser, address: str
) -> None:
    page = opened(browser, f"{address}/report/experiments.html", 390)
    slider, curves = page.get_by_label("Step t"), page.locator("#slider svg > [class]")
    drawn = [[curve.get_attribute("d") for curve in curves.all()]]
    slider.focus()
    for key, text in (
        ("Home", "t = 1: no transition"),
        ("ArrowRight", "t = 2: no transition"),
        ("End", "t = 420: trans"),
    ):
        page.keyboard.press(key)
        assert slider.get_attribute("aria-valuetext").startswith(text) and page.get_by_text(text).is_visible()
        drawn.append([curve.get_attribute("d") for curve in curves.all()])
    assert len(drawn[0]) == 6 and drawn[3] == drawn[0] and all(a != b for a, b in zip(drawn[0], drawn[1], strict=True))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert (
        page.evaluate("[...document.querySelectorAll('main script')].map((it) => it.textContent).join('').length")
        < 15e4
    )
    still = browser.new_page(java_script_enabled=False)
    still.goto(f"{address}/report/experiments.html")
    assert still.locator("#slider").is_hidden() and still.locator("#fig-study-map img").first.is_visible()
