import './app.css';
import './forms.css';
import 'uplot/dist/uPlot.min.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { listSessions, logIn, logOut } from './access';
import { Dashboard } from './dashboard.svelte';
import { Frames } from './frames';
import { recordings } from './recordings';
import { offers } from './offers';
import { replays } from './replay';
import { steering } from './steering';

const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
const dashboard = new Dashboard({
  streamUrl: `${scheme}//${location.host}/v1/stream`,
  listSessions,
  logIn,
  logOut,
});
const frames = new Frames();
frames.add(() => dashboard.publish());
frames.start();
mount(App, {
  target: document.getElementById('page')!,
  props: { dashboard, frames, replays, recordings, offers, steering },
});
