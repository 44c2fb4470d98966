// The search of the site runs in a Worker, which browsers refuse to pages opened from a disk. There a hidden frame does
// its work: the same script, with the three functions of a Worker that it uses.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.srcdoc = `<script>
        postMessage = data => frameElement.dispatchEvent(new CustomEvent("answer", { detail: data }));
        importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise((done, failed) => {
          const script = document.createElement("script");
          script.src = url, script.onload = done, script.onerror = failed;
          document.head.appendChild(script);
        })), Promise.resolve());
      <\/script><script src="${url}"><\/script>`;
      frame.addEventListener("answer", ({ detail }) => this.dispatchEvent(new MessageEvent("message", { data: detail })));
      frame.addEventListener("load", () => {
        this.frame = frame;
        this.waiting.splice(0).forEach(data => this.postMessage(data));
      });
      const attach = () => document.body.appendChild(frame);
      document.body ? attach() : addEventListener("DOMContentLoaded", attach);
    }
    postMessage(data) {
      if (!this.frame) return void this.waiting.push(data);
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }
  };
  window.Worker = window.IFrameWorker;
}
