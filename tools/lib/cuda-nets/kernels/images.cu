// Batches of the rows that are in the GPU's memory: gathered, augmented, scaled, and from NCHW to NHWC. The operations of an
// element are those of dataset::augmentation and nets::Scaling in their order, so the same bits in float.

// What the host draws for a row of a batch: RowDraw of images.rs.
struct alignas(16) RowDraw {
    u64 row;           // of the data set; the highest bit: mirrored
    unsigned crop[2];  // top and left of the crop within the padded image
    unsigned cut[4];   // of the result: first row and the one after the last, then columns, that are filled
};
#define MIRRORED (1ull << 63)

// A row of features is an image of one pixel.
struct Image {
    unsigned channels, height, width, pad;
    bool reflect;
};

// The index within a side of `size` of the pixel at `at` of the padded one; `size` for a zero.
DEVICE unsigned source_index(unsigned at, unsigned size, Image image) {
    if (at >= image.pad && at - image.pad < size) {
        return at - image.pad;
    }
    if (!image.reflect) {
        return size;
    }
    return at < image.pad ? image.pad - at : 2 * (size - 1) - (at - image.pad);
}

// Where a pixel of the result comes from.
struct Pixel {
    u64 offset;  // of its first channel within the data set
    bool zero, cut;
};

DEVICE Pixel pixel_of(const RowDraw &draw, unsigned y, unsigned x, Image image) {
    const unsigned column = draw.row & MIRRORED ? image.width - 1 - x : x;
    const unsigned from_y = source_index(y + draw.crop[0], image.height, image);
    const unsigned from_x = source_index(column + draw.crop[1], image.width, image);
    const u64 plane = (u64)image.height * image.width;
    return {(draw.row & ~MIRRORED) * plane * image.channels + (u64)from_y * image.width + from_x,
            from_y == image.height || from_x == image.width,
            y >= draw.cut[0] && y < draw.cut[1] && x >= draw.cut[2] && x < draw.cut[3]};
}

// values: [_, channels, height, width]; draws: [rows]; mean, scale, fill: [channels]; out: [rows, height, width, channels].
// A thread writes 16 bytes of the result, whichever rows they are of.
template <typename From, typename To>
DEVICE void load_images(const From *__restrict__ values, const RowDraw *__restrict__ draws, u64 rows, Image image,
                        const float *__restrict__ mean, const float *__restrict__ scale, const float *__restrict__ fill,
                        To *__restrict__ out) {
    const unsigned plane = image.height * image.width;
    const u64 row_size = (u64)plane * image.channels, count = rows * row_size;
    EACH_THREAD {
        const u64 first = thread_index() * Line<To>::SIZE;
        if (first < count) {
            u64 row = first / row_size;
            const unsigned in_row = (unsigned)(first % row_size), index = in_row / image.channels;
            unsigned channel = in_row % image.channels, y = index / image.width, x = index % image.width;
            RowDraw draw = draws[row];
            Pixel pixel = pixel_of(draw, y, x, image);
            Line<To> line;
#pragma unroll
            for (unsigned i = 0; i < Line<To>::SIZE; i++) {
                if (first + i < count) {
                    float value = 0;
                    if (pixel.cut) {
                        value = fill[channel];
                    } else if (!pixel.zero) {
                        value = (float)values[pixel.offset + (u64)channel * plane];
                    }
                    line.x[i] = from_f32<To>((value - mean[channel]) * scale[channel]);
                    channel++;
                    if (channel == image.channels && first + i + 1 < count) {
                        channel = 0;
                        x++;
                        if (x == image.width) {
                            x = 0;
                            y++;
                        }
                        if (y == image.height) {
                            y = 0;
                            row++;
                            draw = draws[row];
                        }
                        pixel = pixel_of(draw, y, x, image);
                    }
                }
            }
            store_line(out, thread_index(), count, line);
        }
    }
}

#define LOAD_IMAGES(name, From, To)                                                                                   \
    KERNEL name(const From *values, const RowDraw *draws, u64 rows, unsigned channels, unsigned height,               \
                unsigned width, unsigned pad, unsigned reflect, const float *mean, const float *scale,                \
                const float *fill, To *out) {                                                                         \
        const Image image = {channels, height, width, pad, reflect != 0};                                            \
        load_images(values, draws, rows, image, mean, scale, fill, out);                                              \
    }

LOAD_IMAGES(load_images_u8_f32, unsigned char, float)
LOAD_IMAGES(load_images_u8_bf16, unsigned char, bf16)
LOAD_IMAGES(load_images_f32_f32, float, float)
LOAD_IMAGES(load_images_f32_bf16, float, bf16)
