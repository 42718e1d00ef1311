"""The page without a mouse, without sight and without colours: focus order, roles and names, contrast, and its opening."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bot.demo.stack import LocalStack
from bot.playground import Person
from tests.integration.conftest import CHANNEL, MENTION, answer, workspace_page

pytestmark = pytest.mark.integration
QUESTION = "our help center changes every week, should we fine-tune on the articles?"
NAMED = {
    "button", "link", "textbox", "combobox", "tab", "menuitem", "menuitemradio", "option", "dialog",
    "checkbox", "radio", "navigation", "complementary", "region", "log", "toolbar", "tablist", "spinbutton",
}  # fmt: skip
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const mix = (over, under) => over.slice(0, 3).map((value, i) => value * (over[3] ?? 1) + under[i] * (1 - (over[3] ?? 1)));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage.includes("gradient")) {
        layers.push(parse(style.backgroundImage.match(/rgb[^)]*\\)/)[0]));
        break;
      }
      const colour = parse(style.backgroundColor);
      layers.push(colour);
      if ((colour[3] ?? 1) === 1) break;
    }
    return layers.reverse().reduce((under, over) => mix(over, under), [255, 255, 255]);
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    if (element.closest("[disabled], [aria-hidden=true], noscript, script, style")) continue;
    const style = getComputedStyle(element);
    const under = ground(element);
    const [a, b] = [light(mix(parse(style.color), under)), light(under)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < least) faint.push(`${ratio.toFixed(2)} < ${least}: ${node.data.trim().slice(0, 40)} (${element.className || element.tagName})`);
  }
  return faint;
}"""


@pytest.fixture(scope="module")
def thread(maya: Person) -> str:
    """A question with its answer."""
    question = maya.say(CHANNEL, f"{MENTION} {QUESTION}")
    answer(maya, question["ts"])
    return str(question["ts"])


@pytest.fixture
def page(browser: Any, stack: LocalStack, thread: str) -> Iterator[Any]:
    """The workspace as Maya opens it, without an address of its own."""
    with workspace_page(browser, stack.url, "maya", 60) as page:
        page.get_by_role("complementary", name="Thread").wait_for()
        while page.get_by_role(
            "dialog"
        ).count():  # a form that an earlier test left open comes back with the page
            page.get_by_role("dialog").last.press("Escape")
            page.wait_for_timeout(200)
        yield page


def press_until(page: Any, key: str, role: str, name: str, most: int = 600) -> None:
    """Presses a key until the control of this role and name has the focus."""
    target = page.get_by_role(role, name=name, exact=True)
    for _ in range(most):
        if any(one.evaluate("element => element === document.activeElement") for one in target.all()):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead to {role} {name!r} in {most} presses")


def test_the_page_opens_on_the_answer(page: Any) -> None:
    """The newest thread with an answer, the verdict in sight; what one types goes to the channel, not to the thread."""
    thread = page.get_by_role("complementary", name="Thread")
    verdict = thread.get_by_text("Retrieve, don't train (RAG)").first
    verdict.wait_for()
    box, frame = verdict.bounding_box(), thread.bounding_box()
    assert frame["y"] <= box["y"] <= frame["y"] + frame["height"] / 2
    assert not thread.get_by_label("Reply…").evaluate("element => element === document.activeElement")


def test_a_phone_opens_on_the_answer_too(browser: Any, stack: LocalStack, thread: str) -> None:
    """At 390 px the thread covers the channel; closing it leads to the channel, one step back to the list, and stays there."""
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    phone.set_default_timeout(60_000)
    phone.goto(f"{stack.url}/?user=maya")
    pane = phone.get_by_role("complementary", name="Thread")
    verdict = pane.get_by_text("Retrieve, don't train (RAG)").first
    verdict.wait_for()
    assert 0 <= verdict.bounding_box()["y"] <= 844 / 2
    phone.get_by_role("button", name="Close thread").click()
    phone.get_by_label("Message #support-ml").wait_for()
    phone.get_by_role("button", name="Back to channels").click()
    phone.get_by_role("button", name="general").first.wait_for()
    assert phone.get_by_label("Message #support-ml").count() == 0
    phone.close()


def test_everything_that_acts_has_a_role_and_a_name(page: Any) -> None:
    """The browser's own accessibility tree: no control, landmark or dialog without a name; pictures say what they show."""
    session = page.context.new_cdp_session(page)

    def nameless() -> list[str]:
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        return [
            str(node["role"]["value"])
            for node in nodes
            if not node.get("ignored")
            and node.get("role", {}).get("value") in NAMED
            and not str(node.get("name", {}).get("value", "")).strip()
        ]

    assert nameless() == []
    assert page.locator("img:not([alt]):not([aria-hidden]), svg:not([aria-hidden=true])").count() == 0
    assert page.locator(".files img[alt='']").count() == 0
    roles = {n.get("role", {}).get("value") for n in session.send("Accessibility.getFullAXTree")["nodes"]}
    assert {"banner", "navigation", "main", "complementary", "log", "status"} <= roles
    page.get_by_role("button", name="Why?").first.click()
    page.get_by_role("dialog").wait_for()
    assert nameless() == []


def test_a_person_asks_opens_a_menu_and_presses_a_button_by_keyboard_alone(page: Any) -> None:
    """Tab reaches bar, channels, messages, composer, thread, in this order; Escape gives the focus back."""
    page.evaluate("document.activeElement.blur()")
    stops = []
    for _ in range(600):  # as long as the channel is
        page.keyboard.press("Tab")
        stop = page.evaluate(
            "(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent || '').trim()"
        )
        stops.append(stop)
        if stop == "Message #support-ml":
            break
    order = ["Use dark colours", "support-ml", "general", "trainwise", "Messages", "Message #support-ml"]
    places = [next(at for at, stop in enumerate(stops) if stop.startswith(name)) for name in order]
    assert places == sorted(places), stops
    page.keyboard.type("@trainwise should we pre-train our own model for customer support?")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="1 reply").nth(1).wait_for()
    press_until(page, "Tab", "button", "Why?")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    assert dialog.evaluate("element => element.contains(document.activeElement)")
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    press_until(page, "Shift+Tab", "button", "Wrong? Correct it")
    page.keyboard.press("Enter")
    page.get_by_role("complementary", name="Thread").get_by_role("combobox").first.wait_for()
    press_until(page, "Shift+Tab", "button", "More actions")
    page.keyboard.press("Enter")
    menu = page.get_by_role("menu", name="Message actions")
    menu.wait_for()
    press_until(page, "Tab", "menuitem", "Copy link", 8)
    page.keyboard.press("Escape")
    menu.wait_for(state="detached")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_stands_out_from_its_ground(page: Any, theme: str) -> None:
    """At least 4.5 to 1, large letters 3 to 1 (WCAG AA), with a form open as well."""
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    assert page.evaluate(CONTRAST) == []
    page.get_by_role("button", name="Why?").first.click()
    page.get_by_role("dialog").wait_for()
    assert page.evaluate(CONTRAST) == []


def test_no_state_is_told_by_colour_alone(page: Any) -> None:
    """Whether the app is connected stands there in words, the channel one is in is told to a screen reader."""
    assert "connected" in page.get_by_role("status").first.inner_text()
    assert page.get_by_role("button", name="support-ml").first.get_attribute("aria-current") == "page"
