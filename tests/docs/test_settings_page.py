from docs.settings_page import PAGE, settings_page
from domain.settings import Settings


def test_the_page_is_what_make_docs_writes():
    assert PAGE.read_text(encoding="utf-8") == settings_page()


def test_every_setting_is_on_it_and_says_what_it_is():
    page = settings_page()
    for name, field in Settings.model_fields.items():
        assert f"`VITRINE_{name.upper()}`" in page
        assert field.description, name
