// The modal on top of the person's stack: fills, checks with the server, shows errors on the fields.
import { useEffect, useRef, useState } from "react";
import { Blocks } from "./Blocks.jsx";
import { useWorkspace } from "./context.js";
import { Close } from "./icons.jsx";

// What a form holds before anyone types: initial_* of each element, then what the server already knows.
function start(view) {
  const values = {};
  for (const block of view.blocks) {
    for (const element of [block.element, block.accessory, ...(block.elements || [])]) {
      if (!element?.action_id) continue;
      const initial = { type: element.type };
      for (const [key, value] of Object.entries(element)) {
        if (key === "initial_value") initial.value = value;
        else if (key.startsWith("initial_")) initial[key.replace("initial_", "selected_")] = value;
      }
      values[block.block_id] = { ...values[block.block_id], [element.action_id]: initial };
    }
  }
  for (const [block, actions] of Object.entries(view.state.values)) values[block] = { ...values[block], ...actions };
  return values;
}

export function Modal({ view }) {
  const { act, state, boot } = useWorkspace();
  const box = useRef(null);
  const [values, setValues] = useState(() => start(view));
  const [errors, setErrors] = useState({});
  const [trouble, setTrouble] = useState(null);
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    if (!box.current.open) box.current.showModal();
    focusFirst();
  }, []);
  useEffect(() => {
    setValues((typed) => ({ ...start(view), ...keep(typed, view) }));
    setErrors({});
    setTrouble(null);
    requestAnimationFrame(() => box.current && !box.current.querySelector(".modal-body :focus") && focusFirst());
  }, [view.hash]);

  // the first field, as in Slack; the dialog itself would take its Close button
  function focusFirst() {
    box.current.querySelector(".modal-body :is(input:not([type=file], [type=hidden]), textarea, select):not([disabled])")?.focus();
  }

  const form = {
    values,
    errors,
    set: (block, action, entered) => {
      setValues((before) => ({ ...before, [block]: { ...before[block], [action]: entered } }));
      setErrors((before) => ({ ...before, [block]: undefined }));
    },
  };
  const use = (block, element, value) => act("view_action", { view_id: view.id, action_id: element.action_id, block_id: block.block_id, value, state: values });
  const suggest = (block, element, value) => act("suggest", { view_id: view.id, action_id: element.action_id, block_id: block.block_id, value });
  const shut = (clear) => act("close", { view_id: view.id, clear });

  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    const flat = {};
    for (const [block, actions] of Object.entries(values)) for (const entered of Object.values(actions)) flat[block] = entered;
    const answer = await act("submit", { view_id: view.id, values: flat });
    setBusy(false);
    if (!answer || answer.ok) return;
    setErrors(answer.errors || {});
    setTrouble(answer.error || null);
    const first = Object.keys(answer.errors || {})[0];
    box.current.querySelector(`[data-block="${CSS.escape(first || "")}"] :is(input, textarea, select)`)?.focus();
  };

  return (
    <dialog className="modal" ref={box} aria-label={view.title?.text} onCancel={(event) => { event.preventDefault(); shut(false); }}>
      <form onSubmit={submit} noValidate>
        <header className="modal-head">
          <img src="/static/icon.svg" alt="" width="28" height="28" />
          <h1>{view.title?.text}</h1>
          <button type="button" className="icon-button" aria-label="Close" onClick={() => shut(true)}><Close /></button>
        </header>
        <div className="modal-body">
          {trouble ? <p className="trouble" role="alert">{trouble}</p> : null}
          <Blocks blocks={view.blocks} use={use} suggest={suggest} form={form} />
        </div>
        <footer className="modal-foot">
          <span className="by">{boot.app.name}</span>
          <button type="button" className="button" onClick={() => shut(false)}>{view.close?.text || (state.depth > 1 ? "Back" : "Cancel")}</button>
          {view.submit ? <button type="submit" className="button primary" disabled={busy} aria-busy={busy}>{busy ? "…" : view.submit.text}</button> : null}
        </footer>
      </form>
    </dialog>
  );
}

function keep(typed, view) {
  const kept = {};
  for (const block of view.blocks) if (block.block_id in typed) kept[block.block_id] = typed[block.block_id];
  return kept;
}
