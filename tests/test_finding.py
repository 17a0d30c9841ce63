"""What a reader finds things with on the pages of this builder: search, previews, links to places, copies of code."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

expect.set_options(timeout=20_000)
pytestmark = pytest.mark.slow


@pytest.fixture
def page(book: Path, browser: Browser, address: str) -> Iterator[Page]:
    """The first chapter; what its console complains of is a failure."""
    if not (book / "site_libs/book.js").is_file() and "BOOK" not in os.environ:
        pytest.skip("Quarto's pages have means of their own")
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{address}/report/problem-1.html")
    yield page
    context.close()
    assert complaints == []


@pytest.mark.parametrize("where", ["server", "file"])
def test_the_search_finds_words_by_the_keyboard_alone(book: Path, page: Page, where: str) -> None:
    if where == "file":
        page.goto(f"file://{book}/report/problem-1.html")
    page.keyboard.press("/")
    page.keyboard.type("stable RANK")
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^\d\d places$"))
    first = page.get_by_role("dialog").get_by_role("link").first
    expect(first).to_contain_text("stable rank")
    place = str(first.get_attribute("href")).split("#")[1]
    page.keyboard.press("Enter")
    expect(page.locator(f"#{place}")).to_be_in_viewport()
    page.wait_for_load_state()
    page.keyboard.press("/")
    page.keyboard.type("stable nonsense")
    expect(page.get_by_role("status")).to_have_text("No places")
    page.keyboard.press("Escape")  # empties the field
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


@pytest.mark.parametrize(
    "target, shown",
    [
        ("sharp-rates.html#thm-fast-rate", "Theorem 4.4"), ("#thm-small-gradient", "Theorem 1.5"),
        ("#eq-square", "(1.5)"), ("#fig-run", "Figure 1.1"), ("references.html#ref-shalev2014", "Shalev"),
        ("api.html#api-bounds-margin_constant", "def margin_constant("),
    ],
)  # fmt: skip
def test_a_link_shows_on_focus_and_under_the_mouse_what_it_refers_to(page: Page, target: str, shown: str) -> None:
    link, preview = page.locator(f"main a:not(.permalink)[href*='{target}']").first, page.get_by_role("tooltip")
    link.focus()
    expect(preview).to_contain_text(shown)
    expect(preview).to_be_in_viewport()
    assert link.get_attribute("aria-describedby") == preview.get_attribute("id")
    page.keyboard.press("Escape")
    expect(preview).to_be_hidden()
    link.hover()
    expect(preview).to_be_visible()
    preview.hover()
    page.wait_for_timeout(400)
    expect(preview).to_be_visible()
    page.mouse.move(0, 0)
    expect(preview).to_be_hidden()


def test_statements_link_to_themselves_and_to_their_functions(page: Page) -> None:
    statement = page.locator("#thm-small-gradient")
    statement.hover()
    statement.get_by_role("link", name="Link to this statement").click()
    assert page.url.endswith("#thm-small-gradient")
    statement.get_by_role("link", name="bounds.rate_homework").click()
    expect(page.locator(":target")).to_contain_text("def rate_homework(")
    page.locator(":target > h3").hover()
    page.locator(":target > h3").get_by_role("link", name="Link to this section").click()
    assert page.url.endswith("#api-bounds-rate_homework")


def test_the_contents_follow_the_reader(page: Page) -> None:
    for label, title in ("problem-1-4", "Growth of the norm"), ("problem-1-1", "The loss is not smooth"):
        page.locator(f"#{label} > h2").evaluate("heading => heading.scrollIntoView()")
        expect(page.locator("[aria-current=location]")).to_contain_text(title)


def test_code_is_copied(page: Page, address: str) -> None:
    page.goto(f"{address}/report/api.html")
    block = page.locator("#api-bounds-fast_rate div.sourceCode").first
    block.hover()
    block.get_by_role("button", name="Copy").click()
    expect(block.get_by_role("button")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == block.locator("code").text_content()
