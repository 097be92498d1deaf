/** How a node comes into the network. */
export type Way = 'choose' | 'own' | 'later';
