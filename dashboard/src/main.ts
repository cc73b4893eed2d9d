import './styles/page.css';
import './styles/forms.css';
import 'uplot/dist/uPlot.min.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { AnimationLoop } from './plots/animation_loop';
import { calibrationApi } from './requests/calibration';
import { catalogApi } from './requests/catalog';
import { readiness } from './requests/health';
import { logIn, logOut } from './requests/login';
import { peopleApi } from './requests/people';
import { recordingApi } from './requests/recordings';
import { replayApi } from './requests/replay';
import { addressOf } from './requests/rest';
import { listSessions, sessionApi } from './requests/sessions';
import { studyApi } from './requests/studies';
import { Dashboard } from './state/dashboard.svelte';
import { MuseLink } from './state/muse.svelte';

const stream = new URL(addressOf('/v1/stream'), location.href);
stream.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
const dashboard = new Dashboard({
  streamUrl: stream.href,
  listSessions,
  readiness,
  logIn,
  logOut,
});
const animation = new AnimationLoop();
animation.add(() => dashboard.publish());
animation.start();
mount(App, {
  target: document.getElementById('page')!,
  props: {
    dashboard,
    muse: new MuseLink(stream.href),
    animation,
    replayApi,
    recordingApi,
    catalogApi,
    sessionApi,
    calibrationApi,
    studyApi,
    peopleApi,
  },
});
