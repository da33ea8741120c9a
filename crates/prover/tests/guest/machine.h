/* Instructions of OpenVM's machine that aren't RISC-V's (openvm-rv32im-transpiler). */
typedef unsigned int word;

/* Makes the next input, its length in bytes and its bytes, what take_word takes from. */
static inline void take_input(void) { asm volatile(".insn i 0x0b, 3, x0, x0, 0" ::: "memory"); }

static inline void take_word(word *target) { asm volatile(".insn i 0x0b, 1, %0, x0, 0" ::"r"(target) : "memory"); }

/* Makes a word a public value, at an offset in bytes. */
static inline void reveal(word offset, word value) {
    asm volatile(".insn i 0x0b, 2, %0, %1, 0" ::"r"(offset), "r"(value) : "memory");
}
