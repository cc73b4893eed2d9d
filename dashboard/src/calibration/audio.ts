/** The sounds and the music of this page: they outlive a look at another view. */
import { Music } from './music';
import { Sounds } from './sounds';

export const sounds = new Sounds();
export const music = new Music();
