// A conversation: header, messages by day, composer. And the app's own page with Home, Messages and About.
import { Fragment, useEffect, useLayoutEffect, useRef, useState } from "react";
import { useWorkspace } from "./context.js";
import { Composer } from "./Composer.jsx";
import { Home } from "./Home.jsx";
import { Back, Hash, Lock } from "./icons.jsx";
import { Message } from "./Message.jsx";
import { Status } from "./Status.jsx";
import { openChannel, ordered } from "./state.js";
import { channelName, day } from "./words.js";

export function Conversation() {
  const { state, boot, dispatch } = useWorkspace();
  const id = openChannel(state);
  const channel = state.channels[id];
  if (!channel) return null;
  const { info } = channel;
  const joined = info.members.includes(boot.me);
  return (
    <section className="conversation" aria-label={channelName(info, boot)}>
      <div className="head">
        <BackButton />
        <h1>
          {info.kind === "group" ? <Lock size={18} /> : <Hash size={18} />}
          {info.name}
        </h1>
        <p className="topic">{info.topic}</p>
        <span className="members" title={info.members.map((member) => boot.users.find((user) => user.id === member)?.real_name).join(", ")}>
          {info.members.length} members
        </span>
      </div>
      <Messages id={id} />
      {joined ? <Composer key={id} channel={id} placeholder={`Message #${info.name}`} /> : <p className="note">You are not in this channel.</p>}
    </section>
  );

  function BackButton() {
    return (
      <button type="button" className="icon-button back" aria-label="Back to channels" onClick={() => dispatch({ type: "go", place: null })}>
        <Back />
      </button>
    );
  }
}

export function AppPage() {
  const { state, boot, dispatch, act } = useWorkspace();
  const { tab } = state.place;
  const id = openChannel(state);
  const tabs = [
    ...(boot.app.home_tab ? [["home", "Home"]] : []),
    ...(boot.app.messages_tab ? [["messages", "Messages"]] : []),
    ["about", "About"],
  ];
  useEffect(() => {
    if (tab === "about") return;
    act("home", { tab }).then((found) => tab === "home" && found && dispatch({ type: "home", view: found.view }));
  }, [tab, act, dispatch]);
  return (
    <section className="conversation" aria-label={boot.bot.name}>
      <div className="head app-head">
        <button type="button" className="icon-button back" aria-label="Back to channels" onClick={() => dispatch({ type: "go", place: null })}>
          <Back />
        </button>
        <h1>
          <img src="/static/icon.svg" alt="" width="24" height="24" />
          {boot.bot.name}
          <span className="tag">APP</span>
        </h1>
        <div className="tabs" role="tablist" aria-label={boot.bot.name}>
          {tabs.map(([key, name]) => (
            <button key={key} type="button" role="tab" aria-selected={tab === key} onClick={() => dispatch({ type: "go", place: { kind: "app", tab: key } })}>
              {name}
            </button>
          ))}
        </div>
      </div>
      {tab === "home" ? <Home /> : tab === "about" ? <About /> : (
        <>
          <Messages id={id} />
          <Composer key={id} channel={id} placeholder={`Message ${boot.bot.name}`} />
        </>
      )}
    </section>
  );
}

function About() {
  const { boot } = useWorkspace();
  return (
    <div className="scroll about">
      <img src="/static/icon.svg" alt="" width="72" height="72" />
      <h2>{boot.app.name}</h2>
      <p>{boot.bot.description}</p>
      <h3>Commands</h3>
      <dl>
        {boot.app.commands.map((command) => (
          <Fragment key={command.name}>
            <dt>
              <code>{command.name}</code> <span>{command.usage_hint}</span>
            </dt>
            <dd>{command.description}</dd>
          </Fragment>
        ))}
      </dl>
      <h3>Message shortcuts</h3>
      <ul>{boot.app.shortcuts.map((shortcut) => <li key={shortcut.callback_id}>{shortcut.name}</li>)}</ul>
    </div>
  );
}

function Messages({ id }) {
  const { state, boot, act, dispatch } = useWorkspace();
  const channel = state.channels[id];
  const list = ordered(channel).filter((message) => !message.thread_ts || message.thread_ts === message.ts || message.subtype === "thread_broadcast");
  const { box, below, toEnd } = useFollow(id, list.length ? list.at(-1) : null, boot.me);
  const newFrom = useNewFrom(id, channel);

  useEffect(() => {
    act("messages", { channel: id }).then((found) => found && dispatch({ type: "loaded", found }));
    act("look", { channel: id });
  }, [id, boot.me, act, dispatch]);

  const newest = ordered(channel).at(-1)?.ts;
  useEffect(() => {
    if (!newest || document.visibilityState !== "visible") return;
    dispatch({ type: "read", channel: id, ts: newest });
    act("read", { channel: id, ts: newest });
  }, [id, newest, act, dispatch]);

  return (
    <>
    <div className="scroll messages" ref={box} role="log" aria-label="Messages" tabIndex={0}>
      <Beginning channel={channel} empty={channel.loaded && !list.length} />
      {list.map((message, index) => {
        const before = list[index - 1];
        const newDay = !before || day(before.ts) !== day(message.ts);
        const isNew = newFrom && message.ts > newFrom && (!before || before.ts <= newFrom);
        return (
          <Fragment key={message.ts}>
            {newDay ? <div className="day" role="separator"><span>{day(message.ts)}</span></div> : null}
            {isNew && !newDay ? <div className="new" role="separator"><span>New</span></div> : null}
            <Message channel={id} message={message} before={newDay || isNew ? null : before} />
          </Fragment>
        );
      })}
      <Status channel={id} thread={null} />
    </div>
    {below ? <button type="button" className="below" onClick={toEnd}>New messages ↓</button> : null}
    </>
  );
}

function Beginning({ channel, empty }) {
  const { boot, act, dispatch } = useWorkspace();
  const { info } = channel;
  if (!channel.loaded) return <div className="beginning" />;
  if (info.kind !== "im") {
    return (
      <div className="beginning">
        <h2>{info.kind === "group" ? <Lock size={26} /> : <Hash size={26} />}{info.name}</h2>
        <p>
          {empty ? <>This is the very beginning of <b>#{info.name}</b>. </> : null}
          {info.members.includes(boot.bot.user)
            ? <>Mention <span className="slack_user">@{boot.users.find((user) => user.is_bot).name}</span> to ask it, or type <kbd>/</kbd> for its commands.</>
            : <>{boot.bot.name} is not here; type <code>/invite @{boot.users.find((user) => user.is_bot).name}</code> to bring it in.</>}
        </p>
      </div>
    );
  }
  const prompts = channel.prompts?.prompts ?? boot.app.prompts;
  return (
    <div className="beginning app-beginning">
      <img src="/static/icon.svg" alt="" width="56" height="56" />
      <h2>{boot.bot.name}</h2>
      <p>{boot.bot.description}</p>
      {prompts.length ? (
        <div className="prompts" aria-label={channel.prompts?.title || "Suggested prompts"}>
          {channel.prompts?.title ? <p className="prompts-title">{channel.prompts.title}</p> : null}
          {prompts.map((prompt) => (
            <button key={prompt.title} type="button" onClick={() => act("say", { channel: info.id, text: prompt.message }).then((said) => said && dispatch({ type: "thread", ts: said.ts }))}>
              <b>{prompt.title}</b>
              <span>{prompt.message}</span>
            </button>
          ))}
        </div>
      ) : null}
    </div>
  );
}

// Where the newest message with words is read: at the end, or at its beginning where that would be out of sight.
function rest(box) {
  const end = box.scrollHeight - box.clientHeight;
  const newest = [...box.querySelectorAll(".message")].filter((message) => message.querySelector(".content")?.textContent.trim()).at(-1);
  if (!newest) return end;
  const top = newest.getBoundingClientRect().top - box.getBoundingClientRect().top + box.scrollTop - 8;
  return Math.max(0, Math.min(end, top));
}

// Stays at the newest message, or at the end where the person went there, unless they have scrolled up: then `below` says
// that something new came, and `toEnd` goes there. One's own message is always gone to.
export function useFollow(key, newest, me) {
  const box = useRef(null);
  const follow = useRef("newest");
  const [below, setBelow] = useState(false);
  useEffect(() => {
    const element = box.current;
    let put = 0;
    const scrolled = () => {
      if (Math.abs(element.scrollTop - put) <= 4) return;
      const away = element.scrollHeight - element.scrollTop - element.clientHeight;
      follow.current = away <= 80 ? "end" : null;
      if (follow.current) setBelow(false);
    };
    const settle = () => {
      if (!follow.current) return;
      element.scrollTop = follow.current === "end" ? element.scrollHeight : rest(element);
      put = element.scrollTop;
    };
    const grown = new ResizeObserver(settle);
    grown.observe(element);
    const changed = new MutationObserver(() => {
      for (const child of element.children) grown.observe(child);
      settle();
    });
    changed.observe(element, { childList: true, subtree: true, characterData: true });
    element.addEventListener("scroll", scrolled, { passive: true });
    return () => {
      grown.disconnect();
      changed.disconnect();
      element.removeEventListener("scroll", scrolled);
    };
  }, [key]);
  useLayoutEffect(() => {
    follow.current = "newest";
    setBelow(false);
  }, [key]);
  const toEnd = () => {
    follow.current = "end";
    setBelow(false);
    box.current.scrollTop = box.current.scrollHeight;
  };
  useLayoutEffect(() => {
    if (newest?.user === me && !follow.current) toEnd();
    else if (follow.current) follow.current = "newest";
    else if (newest) setBelow(true);
  }, [newest?.ts]);
  return { box, below, toEnd };
}

function useNewFrom(id, channel) {
  const from = useRef({});
  if (from.current.id !== id) from.current = { id, ts: channel.info.unread ? channel.info.read : null };
  return from.current.ts;
}
