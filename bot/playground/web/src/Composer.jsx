// Where one types: completion for / @ # and :, formatting, files by button, paste or drop.
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { upload } from "./api.js";
import { ownNewest } from "./state.js";
import { useWorkspace } from "./context.js";
import { useDraft } from "./draft.js";
import { Bold, Clip, Close, Code, Italic, Send, Strike } from "./icons.jsx";
import { Avatar } from "./Message.jsx";
import { findEmoji, size } from "./words.js";

const MARKS = [["Bold", "*", Bold, "b"], ["Italic", "_", Italic, "i"], ["Strikethrough", "~", Strike, null], ["Code", "`", Code, null]];

export function Composer({ channel, thread = null, placeholder, focus = false }) {
  const { boot, state, act, dispatch, user } = useWorkspace();
  const [text, setText] = useDraft(`draft:${user}:${channel}:${thread ?? ""}`);
  const [files, setFiles] = useState([]);
  const [at, setAt] = useState(0);
  const [shut, setShut] = useState(false);
  const [over, setOver] = useState(false);
  const [caret, setCaret] = useState(0);
  const box = useRef(null);
  const offers = shut ? [] : complete(text, caret, boot, thread);
  const picked = offers[Math.min(at, offers.length - 1)];

  useEffect(() => {
    if (focus) box.current.focus({ preventScroll: true });
  }, [focus]);
  useLayoutEffect(() => {
    box.current.style.height = "auto";
    box.current.style.height = `${Math.min(box.current.scrollHeight, 240)}px`;
  }, [text]);

  const put = (next, place) => {
    setText(next);
    setCaret(place);
    setAt(0);
    requestAnimationFrame(() => box.current?.setSelectionRange(place, place));
  };
  const take = (offer) => {
    const next = text.slice(0, offer.from) + offer.insert + text.slice(caret);
    put(next, offer.from + offer.insert.length);
    box.current.focus();
  };
  const wrap = (mark) => {
    const { selectionStart: from, selectionEnd: to } = box.current;
    put(text.slice(0, from) + mark + text.slice(from, to) + mark + text.slice(to), to + 1 + (from === to ? 0 : 1));
    box.current.focus();
  };
  const attach = async (chosen) => {
    for (const file of chosen) {
      const pending = { name: file.name, size: file.size, key: `${file.name}-${Math.random()}` };
      setFiles((all) => [...all, pending]);
      try {
        const record = await upload(user, file);
        setFiles((all) => all.map((each) => (each.key === pending.key ? { ...each, id: record.id } : each)));
      } catch (error) {
        setFiles((all) => all.filter((each) => each.key !== pending.key));
        dispatch({ type: "toast", text: error.message });
      }
    }
  };
  const send = async () => {
    const typed = text.trim();
    const ready = files.filter((file) => file.id);
    if ((!typed && !ready.length) || ready.length < files.length) return;
    const slash = typed.match(/^(\/[\w-]+)(?:\s+([\s\S]*))?$/);
    const known = slash && (slash[1] === "/invite" || boot.app.commands.some((command) => command.name === slash[1]));
    setText("");
    setFiles([]);
    setCaret(0);
    let done;
    if (slash && thread) {
      done = null;
      dispatch({ type: "toast", text: `${slash[1]} is not supported in threads. Sorry!` });
    } else if (known) {
      done = await act("command", { channel, command: slash[1], text: slash[2] || "" });
    } else if (slash) {
      done = null;
      dispatch({ type: "toast", text: `${slash[1]} is not a valid command. Type / to see which there are.` });
    } else {
      done = await act("say", { channel, text: typed, thread_ts: thread, files: ready.map((file) => file.id) });
      if (done?.warning) dispatch({ type: "toast", text: done.warning });
    }
    if (!done) {
      setText(typed);
      setFiles(ready);
      box.current?.focus();
    }
  };
  const key = (event) => {
    if (event.nativeEvent.isComposing) return;
    const marks = MARKS.find(([, , , letter]) => letter && letter === event.key && (event.metaKey || event.ctrlKey));
    if (marks) {
      event.preventDefault();
      wrap(marks[1]);
    } else if (offers.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      setAt((at + (event.key === "ArrowDown" ? 1 : offers.length - 1)) % offers.length);
    } else if (offers.length && (event.key === "Tab" || (event.key === "Enter" && !picked.whole))) {
      event.preventDefault();
      take(picked);
    } else if (offers.length && event.key === "Escape") {
      event.preventDefault();
      setShut(true);
    } else if (event.key === "ArrowUp" && !text) {
      const own = ownNewest(state, channel, thread);
      if (own) {
        event.preventDefault();
        dispatch({ type: "edit", ts: own });
      }
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    }
  };
  const empty = !text.trim() && !files.length;
  return (
    <div className="composer-place">
      {offers.length ? (
        <ul className="popup" role="listbox" id={`offers-${thread || channel}`} aria-label="Suggestions">
          {offers.map((offer, index) => (
            <li key={offer.key} id={`offer-${thread || channel}-${index}`} role="option" aria-selected={offer === picked} onPointerDown={(event) => { event.preventDefault(); take(offer); }} onPointerMove={() => offer !== picked && setAt(index)}>
              {offer.icon}
              <b>{offer.title}</b>
              <span>{offer.detail}</span>
            </li>
          ))}
        </ul>
      ) : null}
      <div
        className="composer"
        data-over={over}
        onDragOver={(event) => { event.preventDefault(); setOver(true); }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => { event.preventDefault(); setOver(false); attach(event.dataTransfer.files); }}
      >
        <div className="marks" role="toolbar" aria-label="Formatting">
          {MARKS.map(([name, mark, Icon]) => <button key={name} type="button" aria-label={name} title={name} onClick={() => wrap(mark)}><Icon size={16} /></button>)}
        </div>
        <textarea
          ref={box}
          rows={1}
          value={text}
          placeholder={placeholder}
          aria-label={placeholder}
          role="combobox"
          aria-expanded={offers.length > 0}
          aria-controls={`offers-${thread || channel}`}
          aria-activedescendant={offers.length ? `offer-${thread || channel}-${offers.indexOf(picked)}` : undefined}
          onChange={(event) => { setText(event.target.value); setCaret(event.target.selectionStart); setAt(0); setShut(false); }}
          onSelect={(event) => setCaret(event.target.selectionStart)}
          onKeyDown={key}
          onPaste={(event) => event.clipboardData.files.length && (event.preventDefault(), attach(event.clipboardData.files))}
        />
        {files.length ? (
          <div className="chips">
            {files.map((file) => (
              <span key={file.key} className="chip" aria-busy={!file.id}>
                {file.name} <small>{file.id ? size(file.size) : "uploading…"}</small>
                <button type="button" aria-label={`Remove ${file.name}`} onClick={() => setFiles(files.filter((each) => each !== file))}><Close size={12} /></button>
              </span>
            ))}
          </div>
        ) : null}
        <div className="composer-foot">
          <label className="tool" title="Attach a file">
            <Clip />
            <input type="file" multiple aria-label="Attach a file" onChange={(event) => { attach([...event.target.files]); event.target.value = ""; }} />
          </label>
          <span className="composer-hint">{empty ? "" : <><b>Shift + Enter</b> to add a new line</>}</span>
          <button type="button" className="send" aria-label="Send" disabled={empty} onClick={send}><Send /></button>
        </div>
      </div>
    </div>
  );
}

// What could be meant by what stands before the caret: [{key, from, insert, title, detail, icon, whole}]
function complete(text, caret, boot, thread) {
  const before = text.slice(0, caret);
  const slash = before.match(/^\/([\w-]*)$/);
  if (slash && !thread) {
    const commands = [...boot.app.commands, { name: "/invite", usage_hint: "@someone", description: "Invite someone to this channel" }];
    return commands
      .filter((command) => command.name.slice(1).startsWith(slash[1]))
      .map((command) => ({
        key: command.name, from: 0, insert: `${command.name} `, title: command.name, whole: before === command.name,
        detail: `${command.usage_hint} — ${command.description}`,
        icon: command.name === "/invite" ? <span className="offer-mark">/</span> : <img src="/static/icon.svg" alt="" width="24" height="24" />,
      }));
  }
  const word = before.match(/(^|\s)([@#:])([\w.+-]*)$/);
  if (!word) return [];
  const [, , sign, typed] = word;
  const from = caret - typed.length - 1;
  const low = typed.toLowerCase();
  if (sign === "@") {
    const people = boot.users.filter((user) => user.name.startsWith(low) || user.real_name.toLowerCase().startsWith(low));
    return people.map((user) => ({ key: user.id, from, insert: `@${user.name} `, title: user.real_name, detail: user.is_bot ? "App" : user.profile.title, icon: <Avatar user={user} size={24} /> }));
  }
  if (sign === "#") {
    const rooms = boot.channels.filter((channel) => channel.name?.startsWith(low));
    return rooms.map((room) => ({ key: room.id, from, insert: `#${room.name} `, title: `#${room.name}`, detail: room.topic, icon: null }));
  }
  return findEmoji(low).map((found) => ({ key: found.name, from, insert: `:${found.name}: `, title: `:${found.name}:`, detail: "", icon: <span className="offer-mark">{found.emoji}</span> }));
}
