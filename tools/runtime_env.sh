# Sourced from the root of the project with $runtime and $build set: what a Lua program of this tree needs to find its modules.
export HEALTHAUTH_RUNTIME=$runtime HEALTHAUTH_BUILD=$PWD/$build LC_ALL=C.UTF-8
export LUA_PATH="$PWD/lua/?.lua;$PWD/lua/?/init.lua;$PWD/?.lua;;" LUA_CPATH="$PWD/$build/$runtime/?.so;;"
unset LUA_PATH_5_4 LUA_CPATH_5_4 LUA_INIT LUA_INIT_5_4
