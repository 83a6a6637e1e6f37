# What every C library does with its own folder: each .c becomes an object in ../build/NAME, all of them libNAME.a.

# lastword: the path above may hold blanks.
NAME := $(lastword $(notdir $(CURDIR)))
OUT := ../build/$(NAME)
OBJECTS := $(patsubst %.c,$(OUT)/%.o,$(wildcard *.c))
CC := ../tools/job gcc
CFLAGS := -O3 -Wall -Wextra -I..

$(OUT)/lib$(NAME).a: $(OBJECTS)
	ar rcs $@ $(OBJECTS)

$(OUT)/%.o: %.c $(wildcard *.h) $(wildcard ../*.h) | $(OUT)
	$(CC) $(CFLAGS) -c -o $@ $<

$(OUT):
	mkdir -p $(OUT)
