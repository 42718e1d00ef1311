// Jump to a conversation, or find what was said: opened by Ctrl+K or the bar's button.
import { useEffect, useRef, useState } from "react";
import { placeOf, useWorkspace } from "./context.js";
import { channelName, clock, day, plain } from "./words.js";

export function Finder() {
  const { state, boot, act, dispatch } = useWorkspace();
  const box = useRef(null);
  const [typed, setTyped] = useState("");
  const [found, setFound] = useState([]);
  const [at, setAt] = useState(0);
  useEffect(() => {
    box.current.showModal();
  }, []);
  useEffect(() => {
    if (typed.trim().length < 2) {
      setFound([]);
      return undefined;
    }
    const timer = setTimeout(() => act("search", { text: typed }).then((answer) => answer && setFound(answer.messages)), 150);
    return () => clearTimeout(timer);
  }, [typed, act]);
  const close = () => dispatch({ type: "finder", open: false });
  const low = typed.trim().toLowerCase().replace(/^[#@]/, "");
  const infos = Object.values(state.channels).map((channel) => channel.info).filter((info) => info.kind !== "im" || info.user === boot.me);
  const rooms = infos.filter((info) => channelName(info, boot).toLowerCase().includes(low));
  const choices = [
    ...rooms.map((info) => ({ key: info.id, title: channelName(info, boot), detail: info.topic || "", go: () => dispatch({ type: "go", place: placeOf(info) }) })),
    ...found.map((one) => {
      const info = state.channels[one.channel].info;
      const thread = one.message.thread_ts || (one.message.reply_count ? one.message.ts : null);
      const who = boot.users.find((user) => user.id === one.message.user)?.real_name || "";
      return {
        key: `${one.channel}${one.message.ts}`,
        title: plain(one.message.text, boot).slice(0, 120),
        detail: `${who} in ${channelName(info, boot)}, ${day(one.message.ts)} ${clock(one.message.ts)}`,
        go: () => dispatch({ type: "go", place: placeOf(info), thread }),
      };
    }),
  ];
  const chosen = choices[Math.min(at, choices.length - 1)];
  const key = (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setAt((at + (event.key === "ArrowDown" ? 1 : choices.length - 1)) % Math.max(1, choices.length));
    } else if (event.key === "Enter" && chosen) {
      event.preventDefault();
      chosen.go();
    }
  };
  return (
    <dialog className="modal finder" ref={box} aria-label="Jump or search" onCancel={(event) => { event.preventDefault(); close(); }} onPointerDown={(event) => event.target === box.current && close()}>
      <input autoFocus value={typed} placeholder="Jump to a channel, or search messages" aria-label="Jump or search" role="combobox" aria-expanded="true" aria-controls="finds" onChange={(event) => { setTyped(event.target.value); setAt(0); }} onKeyDown={key} />
      <ul id="finds" role="listbox" aria-label="Results">
        {choices.map((choice, index) => (
          <li key={choice.key} role="option" aria-selected={choice === chosen} onPointerMove={() => setAt(index)} onClick={choice.go}>
            <b>{choice.title}</b>
            <span>{choice.detail}</span>
          </li>
        ))}
        {choices.length ? null : <li className="nothing">Nothing with these words.</li>}
      </ul>
    </dialog>
  );
}
