// Search with suggestions as you type: the ARIA combobox pattern, driven by keyboard or pointer.

import * as api from "./api.js";
import { make, title } from "./view.js";

const PAUSE_MS = 120;

export function attach({ form, input, list, onsearch, onitem }) {
  let timer = 0;
  let latest = 0;
  let active = -1;

  const options = () => Array.from(list.children);

  function close() {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function mark(index) {
    active = index;
    options().forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    if (index >= 0) input.setAttribute("aria-activedescendant", `suggestion-${index}`);
    else input.removeAttribute("aria-activedescendant");
  }

  function take(suggestion) {
    close();
    if (suggestion.kind === "item" && suggestion.item_id) return onitem(suggestion.item_id);
    input.value = suggestion.text;
    return onsearch(suggestion.text);
  }

  function show(suggestions) {
    list.replaceChildren(
      ...suggestions.map((suggestion, index) =>
        make(
          "li",
          {
            id: `suggestion-${index}`, role: "option", "aria-selected": "false",
            // mousedown, not click: the input's blur would close the list first.
            onmousedown: (event) => { event.preventDefault(); take(suggestion); },
          },
          make("span", {}, title(suggestion.text)),
          make("small", {}, suggestion.kind),
        ),
      ),
    );
    options().forEach((option, index) => { option.take = () => take(suggestions[index]); });
    active = -1;
    list.hidden = suggestions.length === 0;
    input.setAttribute("aria-expanded", String(suggestions.length > 0));
  }

  async function refresh() {
    const prefix = input.value.trim();
    const turn = ++latest;
    if (!prefix) return close();
    try {
      const answer = await api.suggest(prefix);
      // A slow answer to an older prefix must not replace a newer one.
      if (turn === latest && document.activeElement === input) show(answer.suggestions);
    } catch {
      close();
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(refresh, PAUSE_MS);
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const count = options().length;
    if (event.key === "Escape") close();
    else if (list.hidden || !count) return;
    else if (event.key === "ArrowDown") mark((active + 1) % count);
    else if (event.key === "ArrowUp") mark((active - 1 + count) % count);
    else if (event.key === "Enter" && active >= 0) options()[active].take();
    else return;
    event.preventDefault();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    latest += 1;
    close();
    if (input.value.trim()) onsearch(input.value.trim());
  });
}
