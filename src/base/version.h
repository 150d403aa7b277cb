/* version.h - the version of healthauth, the same in every module. */
#ifndef HA_VERSION_H
#define HA_VERSION_H

#define HA_VERSION "0.1.0"

#endif
