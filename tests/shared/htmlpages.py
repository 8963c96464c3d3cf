"""What is asked of a page that is open in a browser, whatever it shows."""

from __future__ import annotations

WIDTHS = (360, 768, 1280)


def shown(browser):
    """The names in the table that are not filtered out, in a folded list too."""
    return browser.run(
        "return [...document.querySelectorAll('tbody:not([hidden]) li:not([hidden])')]"
        ".map((item) => item.textContent)"
    )


def cells(browser, name):
    """The words in the row of the group that a name is in."""
    return browser.run(
        "const item = [...document.querySelectorAll('tbody li')].find((li) => li.textContent ==="
        " arguments[0]);"
        "return [...item.closest('tbody').rows[0].querySelectorAll('td')].map((td) =>"
        " td.textContent)",
        name,
    )


def choose(browser, word):
    """Choose what is shown by the word of a group."""
    browser.run(
        "const select = document.querySelector('select'); select.value = arguments[0];"
        "select.dispatchEvent(new Event('input', { bubbles: true }))",
        word,
    )


def type_into(browser, field, text):
    """Type into a field of the form, by its name."""
    browser.run("document.querySelector(`input[name=${arguments[0]}]`).focus()", field)
    browser.keys(text)


def check_look(browser, barriers, page, folder, width, scheme):
    """See that a page has no barriers and fits; leave a picture of it, to be looked at."""
    browser.size(width)
    browser.scheme(scheme)
    browser.open(page)
    browser.picture(folder / f"{width}-{scheme}.png", whole=True)
    assert barriers() == []
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth")
