/*
 * longjmp - tells the thread sanitizer of every jump of Lua
 *
 * The sanitizer keeps a stack of the calls that are open, and takes from it what a longjmp
 * leaves. A Lua that is built with _FORTIFY_SOURCE jumps by __longjmp_chk, another by
 * _longjmp; libtsan of gcc 12 sees neither, and that stack grows till the memory ends. Here
 * both become the one that it sees.
 *
 * Loaded behind libtsan by spec/run.sh; linked into the programs of spec/host.
 */
#include <setjmp.h>

_Noreturn void __longjmp_chk(jmp_buf to, int value);

_Noreturn void __longjmp_chk(jmp_buf to, int value)
{
  longjmp(to, value);
}

_Noreturn void _longjmp(jmp_buf to, int value)
{
  longjmp(to, value);
}
