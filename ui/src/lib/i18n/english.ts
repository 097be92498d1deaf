// The source of the catalogue. Its keys are the type of all keys.

import access from './en/access.json';
import circles from './en/circles.json';
import common from './en/common.json';
import conditions from './en/conditions.json';
import errors from './en/errors.json';
import forwards from './en/forwards.json';
import friends from './en/friends.json';
import health from './en/health.json';
import home from './en/home.json';
import lan from './en/lan.json';
import map from './en/map.json';
import names from './en/names.json';
import palette from './en/palette.json';
import peers from './en/peers.json';
import questions from './en/questions.json';
import releases from './en/releases.json';
import settings from './en/settings.json';
import share from './en/share.json';
import shell from './en/shell.json';
import units from './en/units.json';
import welcome from './en/welcome.json';

export const en = {
  ...access,
  ...circles,
  ...common,
  ...conditions,
  ...errors,
  ...forwards,
  ...friends,
  ...health,
  ...home,
  ...lan,
  ...map,
  ...names,
  ...palette,
  ...peers,
  ...questions,
  ...releases,
  ...settings,
  ...share,
  ...shell,
  ...units,
  ...welcome,
};
export type Key = keyof typeof en;
