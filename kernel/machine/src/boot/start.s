// The first instructions: from PVH's 32-bit entry to Rust at -2 GiB.
//
// On entry (PVH boot ABI, Xen's docs/misc/pvh.pandoc): protected mode, flat segments, paging off, interrupts off, EBX the
// physical address of hvm_start_info. What runs here lies at its physical address; all of it is left for good once
// memory::paging has made the real tables.

.section .note.Xen, "a", @note
    .balign 4
    .long 4                         // length of the name
    .long 8                         // length of the value
    .long 18                        // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad start32

.section .boot.text, "ax", @progbits
.code32
.global start32
start32:
    cld
    cli
    mov edi, ebx                    // the first argument of machine_start

    // Page directories: 2048 pages of 2 MiB, the first 4 GiB.
    lea ecx, [boot_directories]
    mov eax, 0x83                   // present, writable, 2 MiB
1:  mov [ecx], eax
    mov dword ptr [ecx + 4], 0
    add ecx, 8
    add eax, 0x200000
    jnc 1b                          // after 4 GiB the address wraps to 0

    // They are seen at 0 (where this code runs), at the direct map, and, the first GiB, at -2 GiB.
    lea eax, [boot_directories + 3]
    mov [boot_pointers_low], eax
    mov [boot_pointers_high + 510 * 8], eax
    add eax, 0x1000
    mov [boot_pointers_low + 8], eax
    add eax, 0x1000
    mov [boot_pointers_low + 16], eax
    add eax, 0x1000
    mov [boot_pointers_low + 24], eax
    lea eax, [boot_pointers_low + 3]
    mov [boot_root], eax
    mov [boot_root + 256 * 8], eax
    lea eax, [boot_pointers_high + 3]
    mov [boot_root + 511 * 8], eax

    mov eax, cr4
    or eax, 0x620                   // PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    lea eax, [boot_root]
    mov cr3, eax
    // No-execute only if the processor has it: setting it on another is a fault, and Rust tells of it (Features::require).
    mov eax, 0x80000001
    cpuid
    and edx, 0x100000               // bit 20: it has
    shr edx, 9                      // bit 11 of EFER: on
    mov esi, edx
    mov ecx, 0xc0000080             // EFER: long mode, no-execute
    rdmsr
    or eax, 0x100
    or eax, esi
    wrmsr
    mov eax, cr0
    and eax, 0xfffffffb             // EM off
    or eax, 0x80010003              // paging, write protection in ring 0, MP, protected mode
    mov cr0, eax
    lgdt [boot_descriptors_pointer]
    // Far jump into 64-bit code, by hand: assemblers disagree about its spelling.
    .byte 0xea
    .long start64
    .word 8

.code64
start64:
    xor eax, eax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    movabs rax, offset start_high
    jmp rax

    .balign 8
boot_descriptors:
    .quad 0
    .quad 0x00209a0000000000        // 64-bit code
boot_descriptors_pointer:
    .word 15
    .long boot_descriptors

.section .boot.bss, "aw", @nobits
    .balign 4096
boot_root:          .skip 4096
boot_pointers_low:  .skip 4096
boot_pointers_high: .skip 4096
boot_directories:   .skip 4 * 4096

.section .text.start_high, "ax", @progbits
start_high:
    lea rsp, [rip + boot_stack_end]
    xor ebp, ebp                    // where backtraces end
    mov edi, edi                    // the upper half of an argument is undefined so far
    call machine_start
    ud2

// The stack of the first processor. The page below it is left out of the real tables: an overflow is a fault, not damage.
.section .bss.boot_stack, "aw", @nobits
    .balign 4096
.global boot_stack_guard
boot_stack_guard:
    .skip 4096
    .skip 262144
.global boot_stack_end
boot_stack_end:
