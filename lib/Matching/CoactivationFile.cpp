//===- CoactivationFile.cpp - Statistics of activations on disk ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The file, little-endian, written and read in one pass so that saving does not
// need the memory a second time:
//
//   magic
//   i64 length, JSON {"key", "position", "tokens", "features", "pairs"}
//   each dictionary: f64 sum [F], f64 squares [F], i64 fired [F]
//   each different pair, row by row:
//       i64 count, i32 columns [count] ascending, i32 fired [count],
//       f64 products [count]
//   the SHA-256 of all before, 64 hexadecimal digits
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/Coactivation.h"

#include "CoactivationTable.h"

#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

#include <bit>
#include <cmath>
#include <cstring>

using namespace weir;
using namespace weir::matching;
using llvm::createStringError;
using llvm::Twine;

static_assert(std::endian::native == std::endian::little);

static constexpr llvm::StringLiteral magic = "weir coactivations 1\n";
static constexpr size_t digestSize = 64;

namespace {

/// Collects small pieces, hashes and writes them.
class Writer {
public:
  explicit Writer(OutputFile &file) : file(file) { buffer.reserve(limit); }

  llvm::Error write(const void *data, size_t size) {
    if (buffer.size() + size > limit)
      if (llvm::Error error = flush())
        return error;
    const auto *bytes = static_cast<const std::byte *>(data);
    if (size > limit) {
      hash.update(data, size);
      return file.write(llvm::ArrayRef(bytes, size));
    }
    buffer.insert(buffer.end(), bytes, bytes + size);
    return llvm::Error::success();
  }
  template <typename T>
  llvm::Error write(llvm::ArrayRef<T> values) {
    return write(values.data(), values.size() * sizeof(T));
  }
  llvm::Error finish() {
    if (llvm::Error error = flush())
      return error;
    return file.write(llvm::StringRef(hash.finish()));
  }

private:
  llvm::Error flush() {
    hash.update(buffer.data(), buffer.size());
    llvm::Error error = file.write(llvm::ArrayRef<std::byte>(buffer));
    buffer.clear();
    return error;
  }

  static constexpr size_t limit = 1 << 20;
  OutputFile &file;
  Sha256 hash;
  std::vector<std::byte> buffer;
};

/// Takes arrays off the front of the file's bytes.
class Cursor {
public:
  explicit Cursor(llvm::ArrayRef<std::byte> rest) : rest(rest) {}

  /// False if so much is not there.
  template <typename T>
  bool take(std::vector<T> &out, int64_t count) {
    if (count < 0 ||
        static_cast<uint64_t>(count) > rest.size() / sizeof(T))
      return false;
    out.resize(count);
    if (count > 0)
      std::memcpy(out.data(), rest.data(), count * sizeof(T));
    rest = rest.drop_front(count * sizeof(T));
    return true;
  }
  bool take(int64_t &out) {
    std::vector<int64_t> one;
    if (!take(one, 1))
      return false;
    out = one.front();
    return true;
  }
  bool empty() const { return rest.empty(); }

private:
  llvm::ArrayRef<std::byte> rest;
};

/// What the JSON says.
struct Header {
  std::string key;
  int64_t position = 0, tokens = 0;
  std::vector<int64_t> features;
  std::vector<std::pair<size_t, size_t>> pairs;

  bool parse(llvm::StringRef text);
};

bool Header::parse(llvm::StringRef text) {
  llvm::Expected<llvm::json::Value> value = parseJSON(text);
  if (!value) {
    llvm::consumeError(value.takeError());
    return false;
  }
  const llvm::json::Object *object = value->getAsObject();
  if (!object)
    return false;
  auto keyText = object->getString("key");
  auto positionNumber = object->getInteger("position");
  auto tokenNumber = object->getInteger("tokens");
  const llvm::json::Array *featureList = object->getArray("features");
  const llvm::json::Array *pairArray = object->getArray("pairs");
  if (!keyText || !positionNumber || *positionNumber < 0 || !tokenNumber ||
      *tokenNumber < 0 || *tokenNumber > Coactivations::maxTokens ||
      !featureList || !pairArray)
    return false;
  key = keyText->str();
  position = *positionNumber;
  tokens = *tokenNumber;
  for (const llvm::json::Value &entry : *featureList) {
    auto count = entry.getAsInteger();
    if (!count || *count < 0 || *count > INT32_MAX)
      return false;
    features.push_back(*count);
  }
  for (const llvm::json::Value &entry : *pairArray) {
    const llvm::json::Array *pair = entry.getAsArray();
    if (!pair || pair->size() != 2)
      return false;
    auto first = (*pair)[0].getAsInteger(), second = (*pair)[1].getAsInteger();
    const int64_t count = static_cast<int64_t>(features.size());
    if (!first || !second || *first < 0 || *first >= count || *second < 0 ||
        *second >= count)
      return false;
    pairs.push_back({*first, *second});
  }
  return true;
}

bool allFinite(llvm::ArrayRef<double> values) {
  return llvm::all_of(values, [](double x) { return std::isfinite(x); });
}

} // namespace

llvm::Error Coactivations::save(llvm::StringRef path, llvm::StringRef key,
                                int64_t position) const {
  llvm::json::Array features, pairs;
  for (const Moments &moments : dictionaries)
    features.push_back(static_cast<int64_t>(moments.sum.size()));
  for (const auto &pair : pairList)
    pairs.push_back(llvm::json::Array{static_cast<int64_t>(pair.first),
                                      static_cast<int64_t>(pair.second)});
  const std::string header =
      printJSON(llvm::json::Object{{"key", key},
                                   {"position", position},
                                   {"tokens", numTokens},
                                   {"features", std::move(features)},
                                   {"pairs", std::move(pairs)}});

  auto writeRow = [&](Writer &writer,
                      const CoactivationTable::Row &row) -> llvm::Error {
    // The order of a hash table depends on its history; that of the file on
    // nothing but the content.
    std::vector<CoactivationTable::Cell> cells;
    row.forEach([&](const auto &cell) { cells.push_back(cell); });
    llvm::sort(cells, [](const auto &x, const auto &y) {
      return x.column < y.column;
    });
    std::vector<int32_t> columns, fired;
    std::vector<double> products;
    for (const CoactivationTable::Cell &cell : cells) {
      columns.push_back(cell.column);
      fired.push_back(cell.fired);
      products.push_back(cell.products);
    }
    const int64_t count = row.size();
    if (llvm::Error error = writer.write(&count, sizeof(count)))
      return error;
    if (llvm::Error error = writer.write<int32_t>(columns))
      return error;
    if (llvm::Error error = writer.write<int32_t>(fired))
      return error;
    return writer.write<double>(products);
  };

  return writeAtomically(path, [&](llvm::StringRef temporary) -> llvm::Error {
    llvm::Expected<std::unique_ptr<OutputFile>> file =
        OutputFile::open(temporary);
    if (!file)
      return file.takeError();
    Writer writer(**file);
    const int64_t length = static_cast<int64_t>(header.size());
    if (llvm::Error error = writer.write(magic.data(), magic.size()))
      return error;
    if (llvm::Error error = writer.write(&length, sizeof(length)))
      return error;
    if (llvm::Error error = writer.write(header.data(), header.size()))
      return error;
    for (const Moments &moments : dictionaries) {
      if (llvm::Error error = writer.write<double>(moments.sum))
        return error;
      if (llvm::Error error = writer.write<double>(moments.squares))
        return error;
      if (llvm::Error error = writer.write<int64_t>(moments.fired))
        return error;
    }
    for (const CoactivationTable &table : tables)
      for (int64_t i = 0; i < table.rows(); ++i)
        if (llvm::Error error = writeRow(writer, table.row(i)))
          return error;
    if (llvm::Error error = writer.finish())
      return error;
    return (*file)->close();
  });
}

llvm::Expected<Coactivations::Checkpoint>
Coactivations::load(llvm::StringRef path) {
  llvm::Expected<std::shared_ptr<FileMapping>> file = FileMapping::open(path);
  if (!file)
    return file.takeError();
  auto fail = [&](const Twine &what) {
    return createStringError(path + ": " + what + "; delete it to start anew");
  };
  llvm::ArrayRef<std::byte> bytes = (*file)->bytes();
  if (!(*file)->text().starts_with(magic))
    return fail("no statistics of activations, or of another version");
  if (bytes.size() < magic.size() + digestSize)
    return fail("the file is cut short");
  llvm::ArrayRef<std::byte> body = bytes.drop_back(digestSize);
  if ((*file)->text().take_back(digestSize) != sha256(body))
    return fail("its checksum is wrong: the file is cut short or was changed");

  auto malformed = [&] { return fail("the file is malformed"); };
  Cursor cursor(body.drop_front(magic.size()));
  int64_t length = 0;
  std::vector<char> text;
  Header header;
  if (!cursor.take(length) || !cursor.take(text, length) ||
      !header.parse({text.data(), text.size()}))
    return malformed();
  // Whoever writes sizes that the file cannot hold gets no memory for them: all
  // but the rows of the tables is in the file.
  uint64_t entries = 0;
  for (int64_t count : header.features)
    entries += static_cast<uint64_t>(count) * 24;
  for (auto [first, second] : header.pairs)
    if (static_cast<uint64_t>(header.features[first]) > body.size() / 8)
      return malformed();
  if (entries > body.size())
    return malformed();

  llvm::Expected<Coactivations> made = make(header.features, header.pairs);
  if (!made)
    return made.takeError();
  Checkpoint result{std::move(*made), std::move(header.key), header.position};
  Coactivations &statistics = result.statistics;
  statistics.numTokens = header.tokens;
  auto isCount = [&](int64_t count) {
    return count >= 0 && count <= header.tokens;
  };
  for (auto [count, moments] :
       llvm::zip(header.features, statistics.dictionaries))
    if (!cursor.take(moments.sum, count) ||
        !cursor.take(moments.squares, count) ||
        !cursor.take(moments.fired, count) || !allFinite(moments.sum) ||
        !allFinite(moments.squares) || !llvm::all_of(moments.fired, isCount) ||
        !llvm::all_of(moments.squares, [](double q) { return q >= 0; }))
      return malformed();

  std::vector<int32_t> columns, fired;
  std::vector<double> products;
  for (CoactivationTable &table : statistics.tables)
    for (int64_t i = 0; i < table.rows(); ++i) {
      int64_t count = 0;
      if (!cursor.take(count) || count > table.columns() ||
          !cursor.take(columns, count) || !cursor.take(fired, count) ||
          !cursor.take(products, count) || !allFinite(products) ||
          !llvm::all_of(fired, isCount))
        return malformed();
      int64_t last = -1;
      for (auto [column, both, product] : llvm::zip(columns, fired, products)) {
        if (column <= last || column >= table.columns())
          return malformed();
        last = column;
        table.at(i, column) = {product, column, both};
      }
    }
  if (!cursor.empty())
    return malformed();
  return std::move(result);
}
