# Rows of ten classes of colored patterns, `image` [3, 32, 32] and `label`, as NDJSON: awk -f images.awk
BEGIN {
  for (row = 0; row < 40; row++) {
    printf "{\"image\":["
    for (channel = 0; channel < 3; channel++) {
      printf "%s[", channel ? "," : ""
      for (y = 0; y < 32; y++) {
        printf "%s[", y ? "," : ""
        for (x = 0; x < 32; x++) printf "%s%d", x ? "," : "", (row * 37 + channel * 61 + y * 7 + x * x) % 256
        printf "]"
      }
      printf "]"
    }
    printf "],\"label\":%d}\n", row % 10
  }
}
