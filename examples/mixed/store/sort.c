/* One quicksort a type, so that comparing costs no call. Runs of up to 12 go through insertion, written out for each
 * length: the compiler sees constant bounds, and has something to do. */
#include "repeat.h"
#include "store/store.h"

#define INSERTION(T, suffix, n) \
    static void insertion_##suffix##_##n(T *items) { \
        _Pragma("GCC unroll 16") for (int i = 1; i < n; i++) { \
            T item = items[i]; \
            int at = i; \
            for (; at > 0 && item < items[at - 1]; at--) items[at] = items[at - 1]; \
            items[at] = item; \
        } \
    }
#define CASE(suffix, n) \
    case n: \
        insertion_##suffix##_##n(items); \
        return;
#define EACH_LENGTH(M, ...) \
    M(__VA_ARGS__, 2) M(__VA_ARGS__, 3) M(__VA_ARGS__, 4) M(__VA_ARGS__, 5) M(__VA_ARGS__, 6) M(__VA_ARGS__, 7) \
    M(__VA_ARGS__, 8) M(__VA_ARGS__, 9) M(__VA_ARGS__, 10) M(__VA_ARGS__, 11) M(__VA_ARGS__, 12)

#define SORT(T, suffix) \
    EACH_LENGTH(INSERTION, T, suffix) \
    void sort_##suffix(T *items, size_t count) { \
        while (count > 12) { \
            T pivot = items[count / 2]; \
            size_t low = 0, high = count - 1; \
            for (;; low++, high--) { \
                while (items[low] < pivot) low++; \
                while (pivot < items[high]) high--; \
                if (low >= high) break; \
                T item = items[low]; \
                items[low] = items[high]; \
                items[high] = item; \
            } \
            sort_##suffix(items, low); \
            items += low; \
            count -= low; \
        } \
        switch (count) { EACH_LENGTH(CASE, suffix) } \
    }

SORT(int8_t, i8)
SORT(int16_t, i16)
SORT(int32_t, i32)
SORT(int64_t, i64)
SORT(uint32_t, u32)
SORT(uint64_t, u64)
SORT(float, f32)
SORT(double, f64)
