import './styles/page.css';
import './styles/forms.css';
import 'uplot/dist/uPlot.min.css';
import { streamUrl } from 'mimamba-client';
import { mount } from 'svelte';
import App from './App.svelte';
import { AnimationLoop } from './plots/animation_loop';
import { calibrationApi } from './requests/calibration';
import { catalogApi } from './requests/catalog';
import { readiness } from './requests/health';
import { logIn, logInWithCode, logOut } from './requests/login';
import { peopleApi } from './requests/people';
import { recordingApi } from './requests/recordings';
import { replayApi } from './requests/replay';
import { listSessions, sessionApi } from './requests/sessions';
import { studyApi } from './requests/studies';
import { Dashboard } from './state/dashboard.svelte';
import { MuseLink } from './state/muse.svelte';

const stream = streamUrl(new URL('.', location.href));
const dashboard = new Dashboard({
  streamUrl: stream,
  listSessions,
  readiness,
  logIn,
  logInWithCode,
  logOut,
});
const animation = new AnimationLoop();
animation.addSnapshots(() => dashboard.publish());
animation.start();
mount(App, {
  target: document.getElementById('page')!,
  props: {
    dashboard,
    muse: new MuseLink(stream),
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
