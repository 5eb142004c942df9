// Test tool: encode_lines MODEL_FOLDER < JSON strings, one a line > {"ids": [], "begin": [], "end": []}, one a line.
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

#include "moesweep/base/json.h"
#include "moesweep/text/tokenizer.h"

int main(int argc, char** argv) try {
    if (argc != 2) moesweep::fail(moesweep::Exit::usage, "usage: encode_lines MODEL_FOLDER < lines");
    const moesweep::Tokenizer tokenizer(argv[1]);
    std::ios::sync_with_stdio(false);
    for (std::string line; std::getline(std::cin, line);) {
        const auto encoding = tokenizer.encode(moesweep::parse_json(line, "stdin").get<std::string>());
        std::cout << moesweep::Json{{"ids", encoding.ids}, {"begin", encoding.begin}, {"end", encoding.end}} << '\n';
    }
    return 0;
} catch (const moesweep::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(moesweep::Exit::internal);
}
