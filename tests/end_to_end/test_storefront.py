"""A person at the storefront, in a real browser: choose a user, look, search, open, buy."""

import json
import shutil

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("needs a Chromium on the PATH")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=executable, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def page(browser, server):
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(server)
    page.wait_for_selector("main[aria-busy=false] .card")
    yield page
    page.close()
    assert errors == []


def logged(shop) -> list[dict]:
    return [
        json.loads(line)
        for path in sorted((shop.home / "event_log").rglob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_the_window_shows_ten_items_with_reasons(page):
    assert page.locator(".card").count() == 10
    assert all(page.locator(".reason").all_inner_texts())
    assert "replayed shop" in page.locator("#clock").inner_text()


def test_another_user_sees_another_window(page):
    first = page.locator(".card h3").all_inner_texts()
    other = page.locator("#user option").nth(1).get_attribute("value")
    page.select_option("#user", other)
    page.wait_for_function("id => document.querySelector('h1').textContent.includes(id)", arg=other)
    page.wait_for_selector("main[aria-busy=false]")
    assert page.locator(".card h3").all_inner_texts() != first


def test_a_new_visitor_gets_a_window_too(page):
    page.click("#new-visitor")
    page.wait_for_function("() => document.querySelector('h1').textContent.includes('new visitor')")
    page.wait_for_selector("main[aria-busy=false] .card")
    assert page.locator(".card").count() == 10


def test_search_works_by_keyboard_alone_with_suggestions(page):
    word = page.locator(".card h3").first.inner_text().split()[0]
    page.focus("#query")
    page.keyboard.type(word[:4], delay=40)
    page.wait_for_selector("#suggestions:not([hidden]) li")
    page.keyboard.press("Escape")
    page.wait_for_selector("#suggestions", state="hidden")
    page.fill("#query", word)
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.hash.startsWith('#/search/')")
    page.wait_for_selector("main[aria-busy=false] .card")
    assert word.lower() in page.locator(".card h3").first.inner_text().lower()


def test_a_click_and_a_cart_come_back_with_the_next_ingest(page, shop):
    user = page.locator("#user").input_value()
    item = page.locator(".card").first.get_attribute("data-item-id")
    with page.expect_response(lambda answer: answer.url.endswith("/events")):
        page.locator(".card a").first.click()
    page.wait_for_selector(".item")
    assert page.locator(".grid .card").count() > 0, "similar items"
    with page.expect_response(lambda answer: answer.url.endswith("/events")):
        page.click(".item button.primary")
    assert page.locator("#cart-count").inner_text() == "1"
    mine = [
        (event["event_type"], event["item_id"])
        for event in logged(shop)
        if event["user_id"] == user
    ]
    assert ("click", item) in mine
    assert ("add_to_cart", item) in mine
    impressions = [
        event
        for event in logged(shop)
        if event["user_id"] == user and event["event_type"] == "impression"
    ]
    assert {event["position"] for event in impressions} >= set(range(1, 11))
    assert all(event["propensity"] for event in impressions)


def test_it_fits_a_phone(browser, server):
    page = browser.new_page(viewport={"width": 380, "height": 800})
    page.goto(server)
    page.wait_for_selector("main[aria-busy=false] .card")
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    page.close()
