export { radial } from './radial';
export { tree } from './tree';
export type { LayoutName, Positions } from './positions';
