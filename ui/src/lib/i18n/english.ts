// The source of the catalogue. Its keys are the type of all keys.

import circles from './en/circles.json';
import common from './en/common.json';
import conditions from './en/conditions.json';
import errors from './en/errors.json';
import friends from './en/friends.json';
import health from './en/health.json';
import home from './en/home.json';
import map from './en/map.json';
import palette from './en/palette.json';
import peers from './en/peers.json';
import settings from './en/settings.json';
import share from './en/share.json';
import shell from './en/shell.json';
import units from './en/units.json';
import welcome from './en/welcome.json';

export const en = {
  ...circles,
  ...common,
  ...conditions,
  ...errors,
  ...friends,
  ...health,
  ...home,
  ...map,
  ...palette,
  ...peers,
  ...settings,
  ...share,
  ...shell,
  ...units,
  ...welcome,
};
export type Key = keyof typeof en;
