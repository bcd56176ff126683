/** Starts the page: the list of videos, the link in the address, and the connection. */

import { Actions } from "./actions.js";
import { hashFor, readLink } from "./link.js";
import { Server } from "./server.js";
import { Video } from "./video.js";
import { Viewer } from "./viewer.js";

const server = new Server(document.baseURI);
const viewer = new Viewer(document);
let videos = [];
let opening = new AbortController();

new Actions(document, viewer);
watchConnection();
addEventListener("hashchange", () => follow());
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("stage").focus();
});
start();

async function start() {
  try {
    ({ videos } = await server.read(server.url("videos"), {}, (response) => response.json()));
    listVideos();
    if (videos.length) await follow();
    else say("The server has no videos.");
  } catch (error) {
    say(`The list of videos cannot be read. ${error.message}`);
  }
}

/** Go where the address says. */
async function follow() {
  const { id, index } = readLink(location);
  const chosen = id ?? viewer.video?.info.id ?? videos[0]?.id;
  if (chosen === viewer.video?.info.id) viewer.player.go(index ?? viewer.player.target);
  else await open(chosen, index ?? 0);
}

async function open(id, index) {
  opening.abort();
  opening = new AbortController();
  const { signal } = opening;
  viewer.close();
  say("");
  setOpening(true);
  entitle(videos.find((video) => video.id === id)?.title ?? id);
  markCurrent(id);
  try {
    const video = await Video.open(server, id, signal);
    entitle(video.info.title);
    video.addEventListener("changed", () => openAgain(video), { signal, once: true });
    if (video.count) viewer.open(video, index);
    else say("This video has no frames.");
  } catch (error) {
    if (!signal.aborted) say(`This video cannot be opened. ${error.message}`);
  } finally {
    if (!signal.aborted) setOpening(false);
  }
}

function listVideos() {
  const list = document.getElementById("video-list");
  for (const { id, title } of videos) {
    const link = document.createElement("a");
    link.href = hashFor(id, 0);
    link.dataset.id = id;
    link.textContent = title;
    list.appendChild(document.createElement("li")).append(link);
  }
  document.getElementById("videos").hidden = videos.length < 2;
}

function markCurrent(id) {
  for (const link of document.querySelectorAll("#video-list a")) {
    if (link.dataset.id === id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

function watchConnection() {
  const banner = document.getElementById("connection");
  server.addEventListener("lost", () => { banner.hidden = false; });
  server.addEventListener("back", () => {
    banner.hidden = true;
    openAgainIfChanged();
  });
  document.getElementById("reconnect").addEventListener("click", () => server.reconnect());
  addEventListener("online", () => server.reconnect());
}

/** A server that was started again may serve other bytes under the same name. */
async function openAgainIfChanged() {
  const { video, player } = viewer;
  if (!video) return;
  const now = await Video.open(server, video.info.id, opening.signal).catch(() => null);
  if (video !== viewer.video) return;
  if (now && now.info.validator !== video.info.validator) await openAgain(video);
  else player.retry();
}

async function openAgain(video) {
  if (video === viewer.video) await open(video.info.id, viewer.player.target);
}

function entitle(title) {
  document.title = `${title} – asyncframes`;
  document.getElementById("title").textContent = title;
}

/** The first look at a video may read all of it, to find its frames. */
function setOpening(isOpening) {
  document.getElementById("opening").hidden = !isOpening;
}

function say(text) {
  const message = document.getElementById("page-message");
  message.textContent = text;
  message.hidden = !text;
}
