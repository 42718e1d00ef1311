// The page: loads the workspace for one person, follows it live, and lays out sidebar, conversation and side pane.
import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "react";
import { call, listen } from "./api.js";
import { Bar } from "./Bar.jsx";
import { Finder } from "./Finder.jsx";
import { placeOf, useWorkspace, Workspace } from "./context.js";
import { AppPage, Conversation } from "./Conversation.jsx";
import { Modal } from "./Modal.jsx";
import { Sidebar } from "./Sidebar.jsx";
import { answeredThread, empty, isOpen, openChannel, reduce } from "./state.js";
import { Thread } from "./Thread.jsx";
import { Threads } from "./Threads.jsx";

const remembered = (key, fallback) => localStorage.getItem(key) ?? fallback;

function startUser() {
  return new URLSearchParams(location.search).get("user") || remembered("person", "maya");
}

// /archives/C123/p1700000000000001?thread_ts=... as chat.getPermalink makes them
function startPlace() {
  const found = location.pathname.match(/^\/archives\/(\w+)(?:\/p(\d+))?/);
  if (!found) return null;
  const ts = found[2] ? `${found[2].slice(0, -6)}.${found[2].slice(-6)}` : null;
  return { channel: found[1], thread: new URLSearchParams(location.search).get("thread_ts") || ts };
}

function useTheme() {
  const dark = useMemo(() => matchMedia("(prefers-color-scheme: dark)"), []);
  const [theme, setTheme] = useState(remembered("theme", dark.matches ? "dark" : "light"));
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  const flip = () => {
    const next = theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", next);
    setTheme(next);
  };
  return [theme, flip];
}

export function App() {
  const [state, dispatch] = useReducer(reduce, empty);
  const [user, setUser] = useState(startUser);
  const [theme, flipTheme] = useTheme();

  const act = useCallback(
    async (verb, args) => {
      try {
        return await call(user, verb, args);
      } catch (error) {
        dispatch({ type: "toast", text: error.message });
        return null;
      }
    },
    [user],
  );

  const boot = useCallback(async () => {
    const found = await act("boot");
    if (!found) return;
    dispatch({ type: "booted", boot: found });
    document.title = `${found.team.name} – ${found.bot.name}`;
  }, [act]);

  useEffect(() => {
    localStorage.setItem("person", user);
    boot();
  }, [user, boot]);

  const me = state.boot?.me;
  useEffect(() => {
    if (!me) return undefined;
    let first = true;
    return listen(
      me,
      (note) => (note.type === "channel_changed" ? boot() : dispatch({ type: "note", note })),
      (live) => {
        dispatch({ type: "live", state: live });
        if (live === "open" && !first) boot();
        first = false;
      },
    );
  }, [me, boot]);

  const beat = state.beat;
  useEffect(() => {
    if (me) act("threads").then((answer) => answer && dispatch({ type: "threads", rows: answer.threads }));
  }, [me, beat, act]);

  // where to begin, once: the address, else #support-ml; on a phone the list is one step back
  const begun = useRef(false);
  useEffect(() => {
    if (!state.boot || state.place || begun.current) return;
    begun.current = true;
    const wanted = startPlace();
    const known = wanted && state.channels[wanted.channel];
    if (location.pathname === "/threads") dispatch({ type: "go", place: { kind: "threads" } });
    else if (known) dispatch({ type: "go", place: placeOf(known.info), thread: wanted.thread });
    else dispatch({ type: "go", place: placeOf(firstChannel(state)) });
  }, [state.boot, state.place, state.channels]);

  // who has not gone anywhere yet is shown the newest answer, as soon as there is one
  const undecided = useRef(startPlace() === null && location.pathname !== "/threads");
  const answered = answeredThread(state);
  useEffect(() => {
    if (!undecided.current || !state.boot || !state.place) return;
    if (state.thread || !isOpen(state, firstChannel(state).id)) undecided.current = false;
    else if (answered) {
      undecided.current = false;
      dispatch({ type: "thread", ts: answered, quiet: true });
    }
  }, [state, answered]);

  // the address names channel and thread, so that a reload or a copied link leads back here
  const here = openChannel(state);
  useEffect(() => {
    if (!state.boot || !state.place) return;
    const thread = state.thread ? `/p${state.thread.replace(".", "")}` : "";
    const path = state.place.kind === "threads" ? "/threads" : here ? `/archives/${here}${thread}` : "/";
    const named = new URLSearchParams(location.search).has("user") ? `?user=${encodeURIComponent(user)}` : "";
    history.replaceState(null, "", path + named);
  }, [state.boot, state.place, state.thread, here, user]);

  useEffect(() => {
    const keys = (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && !document.querySelector("dialog[open]")) {
        event.preventDefault();
        dispatch({ type: "finder", open: true });
      }
    };
    document.addEventListener("keydown", keys);
    return () => document.removeEventListener("keydown", keys);
  }, []);

  const switchTo = (name) => {
    history.replaceState(null, "", location.pathname);
    dispatch({ type: "thread", ts: null });
    setUser(name);
  };

  if (!state.boot) return <div className="loading" role="status">{state.toast || "Opening the workspace…"}</div>;
  const value = { state, dispatch, act, boot: state.boot, user, theme };
  return (
    <Workspace.Provider value={value}>
      <div className="page" data-side={state.thread ? "thread" : "none"} data-at={state.place ? "place" : "list"}>
        <Bar flipTheme={flipTheme} switchTo={switchTo} />
        <Sidebar />
        <main className="main">
          {state.place?.kind === "threads" ? <Threads /> : state.place?.kind === "app" ? <AppPage /> : state.place ? <Conversation /> : null}
        </main>
        {state.thread && openChannel(state) ? <Thread key={state.thread} focus={!state.quiet} /> : null}
        {state.view ? <Modal key={state.view.id} view={state.view} /> : null}
        {state.finder ? <Finder /> : null}
        <Toast />
      </div>
    </Workspace.Provider>
  );
}

function firstChannel(state) {
  const infos = Object.values(state.channels).map((channel) => channel.info);
  return infos.find((info) => info.name === "support-ml") || infos[0];
}

function Toast() {
  const { state, dispatch } = useWorkspace();
  useEffect(() => {
    if (!state.toast) return undefined;
    const timer = setTimeout(() => dispatch({ type: "toast", text: null }), 6000);
    return () => clearTimeout(timer);
  }, [state.toast, dispatch]);
  return (
    <div className="toast" role="alert" hidden={!state.toast}>
      {state.toast}
    </div>
  );
}
