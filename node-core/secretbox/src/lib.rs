//! XSalsa20-Poly1305 at vector speed.
