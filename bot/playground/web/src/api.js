// Calls to the workspace's server. Every verb is a POST to /client/{verb} in the name of the person at the keyboard.

export class Refused extends Error {}

async function read(answer) {
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(body.error || `The workspace answered ${answer.status}.`);
  return body;
}

export async function call(user, verb, args = {}) {
  const body = JSON.stringify({ user, ...args });
  return read(await fetch(`/client/${verb}`, { method: "POST", headers: { "content-type": "application/json" }, body }));
}

export async function upload(user, file) {
  const form = new FormData();
  form.set("user", user);
  form.set("file", file, file.name);
  return (await read(await fetch("/client/upload", { method: "POST", body: form }))).file;
}

// Opens the live feed and keeps it open; onNote gets each note, onState "open" or "closed".
export function listen(user, onNote, onState) {
  let socket;
  let timer;
  let stopped = false;
  const connect = () => {
    socket = new WebSocket(`${location.origin.replace("http", "ws")}/client/live?user=${user}`);
    socket.onopen = () => onState("open");
    socket.onmessage = (event) => onNote(JSON.parse(event.data));
    socket.onclose = () => {
      if (stopped) return;
      onState("closed");
      timer = setTimeout(connect, 700);
    };
  };
  connect();
  return () => {
    stopped = true;
    clearTimeout(timer);
    socket.close();
  };
}
