/*
 * loopback.h - an address of this machine that no other test process uses.
 *
 * A server that stops and starts anew has to get its port back. On 127.0.0.1 any other process may have been
 * given the number meanwhile, so each test listens on an address of its own in 127.0.0.0/8. Clients connect
 * from 127.0.0.1, as the system chooses.
 */
#ifndef LOOPBACK_H
#define LOOPBACK_H

/* Valid for the life of the process. */
const char *loopback_address(void);

#endif
