// What was typed and not sent: kept for each person, conversation and thread, also over a reload.
import { useState } from "react";

export function useDraft(key) {
  const [draft, setDraft] = useState({ key, text: load(key) });
  const text = draft.key === key ? draft.text : load(key);
  const setText = (next) => {
    if (next) localStorage.setItem(key, next);
    else localStorage.removeItem(key);
    setDraft({ key, text: next });
  };
  return [text, setText];
}

function load(key) {
  return localStorage.getItem(key) ?? "";
}
