// Reads a file in a Linux guest as the console's `bench` does in ours: once from end to end, then 4 KiB at places of the same
// generator (splitmix64), both cold (caches dropped before) and warm. Prints lines of the same form.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void forget(void) {
  int file = open("/proc/sys/vm/drop_caches", O_WRONLY);
  if (file < 0 || write(file, "3", 1) != 1) {
    perror("dropping caches");
    exit(1);
  }
  close(file);
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  int reads = atoi(arguments[2]);
  static char piece[1 << 20];
  for (int sequential = 1; sequential >= 0; sequential--) {
    for (int warm = 0; warm < 2; warm++) {
      if (!warm) forget();
      struct stat facts;
      int file = open(arguments[1], O_RDONLY);
      if (file < 0 || fstat(file, &facts) != 0) {
        perror(arguments[1]);
        return 1;
      }
      double begun = now();
      if (sequential) {
        ssize_t got;
        while ((got = read(file, piece, sizeof piece)) > 0) continue;
        if (got < 0) return 1;
        printf("sequential %s: %.0f KiB/s\n", warm ? "warm" : "cold", facts.st_size / 1024.0 / (now() - begun));
      } else {
        uint64_t state = 0x9e3779b97f4a7c15, end = facts.st_size - 4096 + 1;
        for (int number = 0; number < reads; number++) {
          state += 0x9e3779b97f4a7c15;
          uint64_t mixed = state;
          mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
          mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
          if (pread(file, piece, 4096, (mixed ^ (mixed >> 31)) % end) != 4096) return 1;
        }
        printf("random 4 KiB %s: %.0f reads/s\n", warm ? "warm" : "cold", reads / (now() - begun));
      }
      close(file);
    }
  }
  return 0;
}
