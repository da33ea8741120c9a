# memcpy, memset, memcmp and bcmp of the C library, word by word. The compiler's calls of them are a good part of what a
# block executes, and its own versions take twice as many instructions.

.section .text.memcpy, "ax", @progbits
.globl memcpy
.type memcpy, @function
# a0: target, a1: source, a2: bytes; a0 stays. t0: where to write next.
memcpy:
    mv t0, a0
    or t1, a0, a1
    andi t1, t1, 3
    bnez t1, 5f
1:  # Both on word boundaries.
    li t2, 32
    bltu a2, t2, 3f
2:
    lw a3, 0(a1)
    lw a4, 4(a1)
    lw a5, 8(a1)
    lw a6, 12(a1)
    lw a7, 16(a1)
    lw t3, 20(a1)
    lw t4, 24(a1)
    lw t5, 28(a1)
    sw a3, 0(t0)
    sw a4, 4(t0)
    sw a5, 8(t0)
    sw a6, 12(t0)
    sw a7, 16(t0)
    sw t3, 20(t0)
    sw t4, 24(t0)
    sw t5, 28(t0)
    addi a1, a1, 32
    addi t0, t0, 32
    addi a2, a2, -32
    bgeu a2, t2, 2b
3:
    li t2, 4
    bltu a2, t2, 6f
4:
    lw a3, 0(a1)
    sw a3, 0(t0)
    addi a1, a1, 4
    addi t0, t0, 4
    addi a2, a2, -4
    bgeu a2, t2, 4b
6:  # Bytes.
    beqz a2, 8f
7:
    lbu a3, 0(a1)
    sb a3, 0(t0)
    addi a1, a1, 1
    addi t0, t0, 1
    addi a2, a2, -1
    bnez a2, 7b
8:
    ret
5:
    li t2, 16
    bltu a2, t2, 6b
    andi t1, t0, 3
    beqz t1, 10f
9:  # Up to a word boundary of the target.
    lbu a3, 0(a1)
    sb a3, 0(t0)
    addi a1, a1, 1
    addi t0, t0, 1
    addi a2, a2, -1
    andi t1, t0, 3
    bnez t1, 9b
10:
    andi t1, a1, 3
    beqz t1, 1b
    # Each word from two of the source. No word is read without a byte that is wanted.
    slli t3, t1, 3
    neg t4, t3
    sub a1, a1, t1
    bltu a2, t2, 12f
    lw a3, 0(a1)
11:
    lw a4, 4(a1)
    lw a5, 8(a1)
    lw a6, 12(a1)
    lw a7, 16(a1)
    srl a3, a3, t3
    sll t5, a4, t4
    or a3, a3, t5
    sw a3, 0(t0)
    srl a4, a4, t3
    sll t5, a5, t4
    or a4, a4, t5
    sw a4, 4(t0)
    srl a5, a5, t3
    sll t5, a6, t4
    or a5, a5, t5
    sw a5, 8(t0)
    srl a6, a6, t3
    sll t5, a7, t4
    or a6, a6, t5
    sw a6, 12(t0)
    mv a3, a7
    addi a1, a1, 16
    addi t0, t0, 16
    addi a2, a2, -16
    bgeu a2, t2, 11b
12:
    add a1, a1, t1
    j 6b
.size memcpy, . - memcpy

.section .text.memset, "ax", @progbits
.globl memset
.type memset, @function
# a0: target, a1: byte, a2: count; a0 stays. t0: where to write next.
memset:
    mv t0, a0
    li t2, 16
    bltu a2, t2, 5f
    andi t1, t0, 3
    beqz t1, 2f
1:
    sb a1, 0(t0)
    addi t0, t0, 1
    addi a2, a2, -1
    andi t1, t0, 3
    bnez t1, 1b
2:  # The byte in all of a word.
    andi a1, a1, 255
    slli t1, a1, 8
    or a1, a1, t1
    slli t1, a1, 16
    or a1, a1, t1
    bltu a2, t2, 5f
    li t2, 32
    bltu a2, t2, 4f
3:
    sw a1, 0(t0)
    sw a1, 4(t0)
    sw a1, 8(t0)
    sw a1, 12(t0)
    sw a1, 16(t0)
    sw a1, 20(t0)
    sw a1, 24(t0)
    sw a1, 28(t0)
    addi t0, t0, 32
    addi a2, a2, -32
    bgeu a2, t2, 3b
4:
    li t2, 4
    bltu a2, t2, 5f
6:
    sw a1, 0(t0)
    addi t0, t0, 4
    addi a2, a2, -4
    bgeu a2, t2, 6b
5:
    beqz a2, 8f
7:
    sb a1, 0(t0)
    addi t0, t0, 1
    addi a2, a2, -1
    bnez a2, 7b
8:
    ret
.size memset, . - memset

.section .text.memcmp, "ax", @progbits
.globl memcmp
.globl bcmp
.type memcmp, @function
.type bcmp, @function
# a0, a1: what to compare, a2: bytes.
memcmp:
bcmp:
    or t1, a0, a1
    andi t1, t1, 3
    bnez t1, 3f
    li t2, 4
1:
    bltu a2, t2, 3f
    lw a3, 0(a0)
    lw a4, 0(a1)
    bne a3, a4, 3f
    addi a0, a0, 4
    addi a1, a1, 4
    addi a2, a2, -4
    j 1b
3:  # Byte by byte, also to find the one that differs.
    beqz a2, 5f
4:
    lbu a3, 0(a0)
    lbu a4, 0(a1)
    bne a3, a4, 6f
    addi a0, a0, 1
    addi a1, a1, 1
    addi a2, a2, -1
    bnez a2, 4b
5:
    li a0, 0
    ret
6:
    sub a0, a3, a4
    ret
.size memcmp, . - memcmp
