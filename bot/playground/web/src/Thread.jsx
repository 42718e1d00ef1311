// The pane beside the conversation: one thread and its composer.
import { useEffect } from "react";
import { Composer } from "./Composer.jsx";
import { useWorkspace } from "./context.js";
import { useFollow } from "./Conversation.jsx";
import { Close } from "./icons.jsx";
import { Message } from "./Message.jsx";
import { markOf } from "./Threads.jsx";
import { openChannel, ordered } from "./state.js";
import { Status } from "./Status.jsx";
import { channelName } from "./words.js";

export function Thread({ focus }) {
  const { state, boot, dispatch } = useWorkspace();
  const id = openChannel(state);
  const channel = state.channels[id];
  const root = channel.messages[state.thread];
  const replies = ordered(channel).filter((message) => message.thread_ts === state.thread && message.ts !== state.thread);
  const { box, below, toEnd } = useFollow(state.thread, replies.at(-1), boot.me);
  const last = replies.at(-1)?.ts;
  useEffect(() => {
    if (!last) return;
    localStorage.setItem(markOf(boot.me, id, state.thread), last);
    dispatch({ type: "thread read" });
  }, [boot.me, id, state.thread, last, dispatch]);
  const shut = () => dispatch({ type: "thread", ts: null });
  useEffect(() => {
    const leave = (event) => {
      if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open], .menu, .popup")) shut();
    };
    document.addEventListener("keydown", leave);
    return () => document.removeEventListener("keydown", leave);
  });
  return (
    <aside className="thread" aria-label="Thread">
      <div className="head">
        <h2>Thread</h2>
        <p className="topic">{channel.info.kind === "im" ? "" : "#"}{channelName(channel.info, boot)}</p>
        <button type="button" className="icon-button" aria-label="Close thread" onClick={shut}>
          <Close />
        </button>
      </div>
      <div className="scroll messages" ref={box} role="log" aria-label="Replies" tabIndex={0}>
        {root ? <Message channel={id} message={root} inThread /> : null}
        {replies.length ? (
          <div className="replies-line" role="separator">
            <span>{replies.length} {replies.length === 1 ? "reply" : "replies"}</span>
          </div>
        ) : null}
        {replies.map((message, index) => <Message key={message.ts} channel={id} message={message} before={replies[index - 1]} inThread />)}
        <Status channel={id} thread={state.thread} />
      </div>
      {below ? <button type="button" className="below" onClick={toEnd}>New messages ↓</button> : null}
      <Composer channel={id} thread={state.thread} placeholder="Reply…" focus={focus} />
    </aside>
  );
}
