// Everything in Block Kit that can be clicked, typed into or chosen from. State goes out in Slack's own shape.
import { useEffect, useRef, useState } from "react";
import { upload } from "./api.js";
import { useWorkspace } from "./context.js";
import { Clip, Close, More } from "./icons.jsx";
import { glyph, size } from "./words.js";

const label = (text) => text.replace(/:([\w+-]+):/g, (_, name) => glyph(name));
const optionsOf = (element) => [...(element.options || []), ...(element.option_groups || []).flatMap((group) => group.options)];

export function Control({ element, block, form, use, suggest }) {
  const { boot, dispatch } = useWorkspace();
  const [asked, setAsked] = useState(null);
  const id = `${block.block_id}-${element.action_id}`;
  const state = form?.values[block.block_id]?.[element.action_id];
  const invalid = Boolean(form?.errors[block.block_id]);
  // In a form a change is kept, and told to the app when the block asks for it; elsewhere it is an action.
  const change = (next, value) => {
    if (form) form.set(block.block_id, element.action_id, { type: element.type, ...next });
    if (!form || block.type !== "input" || block.dispatch_action) fire(value);
  };
  const fire = (value) => {
    if (element.confirm) setAsked({ value });
    else use(value);
  };
  const shared = { id, element, state, change, fire, invalid, "aria-describedby": invalid ? `${block.block_id}-error` : undefined, "aria-label": block.type === "input" ? undefined : element.placeholder?.text };
  if (element.visible_to_user_ids && !element.visible_to_user_ids.includes(boot.me)) return null;
  const Kind = KINDS[element.type] || Unknown;
  return (
    <>
      <Kind {...shared} suggest={suggest} fail={(text) => dispatch({ type: "toast", text })} />
      {asked ? <Confirm confirm={element.confirm} yes={() => { setAsked(null); use(asked.value); }} no={() => setAsked(null)} /> : null}
    </>
  );
}

function Confirm({ confirm, yes, no }) {
  const box = useRef(null);
  useEffect(() => box.current.showModal(), []);
  return (
    <dialog className="confirm" ref={box} onClose={no} aria-label={confirm.title?.text || "Are you sure?"}>
      <h2>{confirm.title?.text || "Are you sure?"}</h2>
      <p>{confirm.text?.text}</p>
      <div className="dialog-buttons">
        <button type="button" className="button" onClick={no}>{confirm.deny?.text || "Cancel"}</button>
        <button type="button" className={`button ${confirm.style === "danger" ? "danger" : "primary"}`} onClick={yes}>{confirm.confirm?.text || "Yes"}</button>
      </div>
    </dialog>
  );
}

function Button({ element, fire }) {
  const [busy, setBusy] = useState(false);
  const press = async () => {
    setBusy(true);
    await Promise.resolve(fire(element.value));
    setTimeout(() => setBusy(false), 400);
  };
  if (element.url) {
    return <a className={`button ${element.style || ""}`} href={element.url} target="_blank" rel="noreferrer" onClick={press} aria-label={element.accessibility_label}>{label(element.text.text)}</a>;
  }
  return (
    <button type="button" className={`button ${element.style || ""}`} disabled={busy} onClick={press} aria-label={element.accessibility_label} data-action={element.action_id}>
      {label(element.text.text)}
    </button>
  );
}

function Feedback({ element, fire }) {
  const [given, setGiven] = useState(null);
  return ["positive_button", "negative_button"].map((key) => (
    <button key={key} type="button" className="feedback" aria-pressed={given === key} title={element[key].text.text} aria-label={element[key].accessibility_label || element[key].text.text} onClick={() => { setGiven(key); fire(element[key].value); }}>
      {key === "positive_button" ? "👍" : "👎"}
    </button>
  ));
}

function IconButton({ element, fire }) {
  return <button type="button" className="feedback" aria-label={element.text?.text || element.icon} title={element.text?.text} onClick={() => fire(element.value)}>{element.icon === "trash" ? "🗑" : "•"}</button>;
}

function Text({ id, element, state, change, invalid, ...rest }) {
  const kind = { number_input: "text", email_text_input: "email", url_text_input: "url" }[element.type] || "text";
  const props = {
    id,
    className: "input",
    value: state?.value ?? "",
    placeholder: element.placeholder?.text,
    "aria-invalid": invalid,
    maxLength: element.max_length,
    autoFocus: element.focus_on_load,
    inputMode: element.type === "number_input" ? "decimal" : undefined,
    onChange: (event) => change({ value: event.target.value || null }, event.target.value),
    "aria-describedby": rest["aria-describedby"],
  };
  return element.multiline ? <textarea rows={4} {...props} /> : <input type={kind} autoComplete="off" {...props} />;
}

function Select({ id, element, state, change, invalid, ...rest }) {
  const { boot } = useWorkspace();
  const entities = {
    users_select: ["selected_user", boot.users.map((user) => [user.id, user.real_name])],
    channels_select: ["selected_channel", boot.channels.filter((c) => c.kind !== "im").map((c) => [c.id, `#${c.name}`])],
    conversations_select: ["selected_conversation", boot.channels.filter((c) => c.kind !== "im" || c.user === boot.me).map((c) => [c.id, c.name ? `#${c.name}` : boot.bot.name])],
  }[element.type];
  const options = optionsOf(element);
  const value = entities ? (state?.[entities[0]] ?? "") : ((state?.selected_option ?? element.initial_option)?.value ?? "");
  const choose = (event) => {
    const chosen = event.target.value;
    if (entities) change({ [entities[0]]: chosen || null }, chosen);
    else change({ selected_option: options.find((option) => option.value === chosen) ?? null }, chosen);
  };
  const item = (option) => <option key={option.value} value={option.value}>{label(option.text.text)}</option>;
  return (
    <select id={id} className="input select" value={value} aria-label={rest["aria-label"]} aria-invalid={invalid} aria-describedby={rest["aria-describedby"]} onChange={choose} data-action={element.action_id}>
      <option value="" disabled={value !== ""} hidden={value !== ""}>{element.placeholder?.text || "Select an option"}</option>
      {entities ? entities[1].map(([key, name]) => <option key={key} value={key}>{name}</option>) : null}
      {(element.options || []).map(item)}
      {(element.option_groups || []).map((group) => <optgroup key={group.label.text} label={group.label.text}>{group.options.map(item)}</optgroup>)}
    </select>
  );
}

function External({ id, element, state, change, suggest, invalid }) {
  const [typed, setTyped] = useState(state?.selected_option?.text.text || "");
  const [found, setFound] = useState([]);
  useEffect(() => {
    if (typed.length < (element.min_query_length ?? 3) || typed === state?.selected_option?.text.text) return undefined;
    const timer = setTimeout(async () => setFound((await suggest(typed))?.options || []), 250);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <>
      <input
        id={id}
        className="input"
        list={`${id}-list`}
        value={typed}
        aria-invalid={invalid}
        placeholder={element.placeholder?.text}
        onChange={(event) => {
          setTyped(event.target.value);
          const option = found.find((each) => each.text.text === event.target.value);
          change({ selected_option: option ?? null }, option);
        }}
      />
      <datalist id={`${id}-list`}>{found.map((option) => <option key={option.value} value={option.text.text} />)}</datalist>
    </>
  );
}

function Choices({ id, element, state, change }) {
  const many = element.type === "checkboxes" || element.type.startsWith("multi_");
  const chosen = many ? (state?.selected_options ?? []) : [state?.selected_option].filter(Boolean);
  const flip = (option) => {
    if (!many) return change({ selected_option: option }, option.value);
    const on = chosen.some((each) => each.value === option.value);
    const next = optionsOf(element).filter((each) => (each.value === option.value ? !on : chosen.some((kept) => kept.value === each.value)));
    return change({ selected_options: next }, next.map((each) => each.value));
  };
  return (
    <div className="choices" role={many ? "group" : "radiogroup"} id={id}>
      {optionsOf(element).map((option) => (
        <label key={option.value} className="choice">
          <input type={many ? "checkbox" : "radio"} name={id} checked={chosen.some((each) => each.value === option.value)} onChange={() => flip(option)} />
          <span>
            {label(option.text.text)}
            {option.description ? <small>{label(option.description.text)}</small> : null}
          </span>
        </label>
      ))}
    </div>
  );
}

const PICKERS = { datepicker: ["date", "selected_date"], timepicker: ["time", "selected_time"], datetimepicker: ["datetime-local", "selected_date_time"] };

function Picker({ id, element, state, change, invalid }) {
  const [type, key] = PICKERS[element.type];
  const both = element.type === "datetimepicker";
  const raw = state?.[key] ?? "";
  const value = both && raw ? new Date(raw * 1000 - new Date().getTimezoneOffset() * 60000).toISOString().slice(0, 16) : raw;
  const pick = (event) => {
    const chosen = both ? Math.floor(new Date(event.target.value).getTime() / 1000) : event.target.value;
    change({ [key]: chosen || null }, chosen);
  };
  return <input id={id} type={type} className="input picker" value={value} aria-invalid={invalid} onChange={pick} />;
}

function Files({ id, element, state, change, invalid, fail }) {
  const { user } = useWorkspace();
  const [busy, setBusy] = useState(false);
  const files = state?.files ?? [];
  const kinds = element.filetypes?.map((kind) => `.${kind}`).join(",");
  const add = async (event) => {
    setBusy(true);
    try {
      const made = [];
      for (const file of event.target.files) made.push(await upload(user, file));
      change({ files: [...files, ...made].slice(-(element.max_files || 10)) }, null);
    } catch (error) {
      fail(error.message);
    }
    setBusy(false);
  };
  return (
    <div className="file-input" data-invalid={invalid}>
      <label className="button" htmlFor={id}><Clip size={16} /> {busy ? "Uploading…" : "Choose a file"}</label>
      <input id={id} type="file" accept={kinds} multiple={(element.max_files || 10) > 1} onChange={add} />
      {files.map((file) => (
        <span key={file.id} className="chip">
          {file.name} <small>{size(file.size)}</small>
          <button type="button" aria-label={`Remove ${file.name}`} onClick={() => change({ files: files.filter((each) => each.id !== file.id) }, null)}><Close size={12} /></button>
        </span>
      ))}
    </div>
  );
}

function Overflow({ element, fire }) {
  return (
    <span className="overflow">
      <More />
      <select aria-label="More" value="" onChange={(event) => fire(event.target.value)}>
        <option value="" hidden>More</option>
        {element.options.map((option) => <option key={option.value} value={option.value}>{label(option.text.text)}</option>)}
      </select>
    </span>
  );
}

function Unknown({ element }) {
  return <span className="hint">({element.type})</span>;
}

const KINDS = {
  button: Button, workflow_button: Button, feedback_buttons: Feedback, icon_button: IconButton,
  plain_text_input: Text, number_input: Text, email_text_input: Text, url_text_input: Text,
  static_select: Select, users_select: Select, channels_select: Select, conversations_select: Select,
  external_select: External, radio_buttons: Choices, checkboxes: Choices, multi_static_select: Choices,
  datepicker: Picker, timepicker: Picker, datetimepicker: Picker, file_input: Files, overflow: Overflow,
};
