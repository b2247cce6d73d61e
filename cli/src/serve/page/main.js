// Starts the page: what the server offers, then the jobs as they change.
import { at, request, setUp } from "./form.js";
import { show } from "./jobs.js";
import "./latest.js";

// The token, if there was one in the address, is a cookie now.
if (location.search) history.replaceState(null, "", "/");

const listen = () => {
  const events = new EventSource("/api/events");
  events.onmessage = event => {
    at("offline").textContent = "";
    show(JSON.parse(event.data));
  };
  events.onerror = () => {
    at("offline").textContent = "The server does not answer. Jobs go on when it runs again.";
    // The browser tries again by itself, unless the server refused.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  };
};

try {
  setUp(await (await request("/api/about")).json());
  listen();
} catch (error) {
  at("offline").textContent = error.message;
}
