/**
 * System calls that no child of the supervisor has a use for, by what they would be good for, with their numbers.
 * Sources: arch/x86/entry/syscalls/syscall_64.tbl and scripts/syscall.tbl (arm64 uses the generic table). Null: the
 * architecture has no such call.
 */

export type Architecture = "x64" | "arm64";
type Numbers = readonly [x64: number, arm64: number | null];

/** Calls that the filter looks into, or answers in a way of its own. */
export const SPECIAL = {
  bpf: [321, 280],
  clone: [56, 220],
  clone3: [435, 435],
  execve: [59, 221],
  execveat: [322, 281],
  ioctl: [16, 29],
  listen: [50, 201],
  socket: [41, 198],
  socketpair: [53, 199],
  seccomp: [317, 277],
} as const satisfies Record<string, Numbers>;

export const IO_URING = {
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
} as const satisfies Record<string, Numbers>;

/** Refused with EPERM, always. */
export const REFUSED = {
  // Other processes: their memory, descriptors, signals. (Landlock scopes signals and tracing too, from ABI 6.)
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  process_madvise: [440, 440],
  process_mrelease: [448, 448],
  pidfd_open: [434, 434],
  pidfd_getfd: [438, 438],
  pidfd_send_signal: [424, 424],
  kcmp: [312, 272],
  kill: [62, 129],
  tkill: [200, 130],
  rt_sigqueueinfo: [129, 138],
  rt_tgsigqueueinfo: [297, 240],
  move_pages: [279, 239],
  migrate_pages: [256, 238],
  // New processes. Threads come by `clone`, which the filter looks into.
  fork: [57, null],
  vfork: [58, null],
  // Mounts, namespaces and other ways to see another file system.
  mount: [165, 40],
  umount2: [166, 39],
  unshare: [272, 97],
  setns: [308, 268],
  pivot_root: [155, 41],
  chroot: [161, 51],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  open_tree_attr: [467, 467],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  mknodat: [259, 33],
  mknod: [133, null],
  swapon: [167, 224],
  swapoff: [168, 225],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  fanotify_init: [300, 262],
  acct: [163, 89],
  // The kernel itself.
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  reboot: [169, 142],
  syslog: [103, 116],
  lookup_dcookie: [212, 18],
  // Known as a way in more than once, and of no use here.
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  personality: [135, 92],
  modify_ldt: [154, null],
  iopl: [172, null],
  ioperm: [173, null],
  uselib: [134, null],
  nfsservctl: [180, 42],
  _sysctl: [156, null],
  vhangup: [153, 58],
  // Clocks and names of the machine.
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  clock_adjtime: [305, 266],
  adjtimex: [159, 171],
  sethostname: [170, 161],
  setdomainname: [171, 162],
} as const satisfies Record<string, Numbers>;

/** The number of a call on an architecture; null where it has none. */
export function callNumber(numbers: Numbers, architecture: Architecture): number | null {
  return architecture === "x64" ? numbers[0] : numbers[1];
}
