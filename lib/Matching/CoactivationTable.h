//===- CoactivationTable.h - Sums over pairs of features ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_COACTIVATIONTABLE_H
#define WEIR_LIB_MATCHING_COACTIVATIONTABLE_H

#include <cstdint>
#include <vector>

namespace weir::matching {

/// A matrix [F, F'] of which only the cells that were touched take memory. A row
/// is a hash table with open addressing until it would be about as large as a
/// plain array; then it becomes one.
class CoactivationTable {
public:
  struct Cell {
    double products = 0; ///< sum a_t b_t
    int32_t column = -1; ///< -1: never touched
    int32_t fired = 0;   ///< tokens at which both are above 0
  };

  class Row {
  public:
    /// The cell of a column, made if it is not there yet.
    Cell &at(int32_t column, int64_t columns) {
      if (isPlain(columns)) {
        Cell &cell = cells[column];
        used += cell.column < 0;
        cell.column = column;
        return cell;
      }
      if (!cells.empty()) {
        Cell &cell = probe(column);
        if (cell.column == column)
          return cell;
        if (used * 4 < static_cast<int64_t>(cells.size()) * 3) {
          ++used;
          cell.column = column;
          return cell;
        }
      }
      grow(columns);
      return at(column, columns);
    }

    /// The cell of a column, or null if it was never touched.
    const Cell *find(int32_t column, int64_t columns) const {
      if (cells.empty())
        return nullptr;
      const Cell &cell = isPlain(columns)
                             ? cells[column]
                             : const_cast<Row *>(this)->probe(column);
      return cell.column == column ? &cell : nullptr;
    }

    int64_t size() const { return used; }

    template <typename Visitor>
    void forEach(Visitor visit) const {
      for (const Cell &cell : cells)
        if (cell.column >= 0)
          visit(cell);
    }

  private:
    bool isPlain(int64_t columns) const {
      return static_cast<int64_t>(cells.size()) == columns;
    }
    /// The cell of a column or the empty one where it would go.
    Cell &probe(int32_t column) {
      const size_t mask = cells.size() - 1;
      size_t at = (static_cast<uint64_t>(static_cast<uint32_t>(column)) *
                   0x9E3779B97F4A7C15u) >>
                  32;
      while (cells[at & mask].column >= 0 && cells[at & mask].column != column)
        ++at;
      return cells[at & mask];
    }
    void grow(int64_t columns) {
      size_t size = cells.empty() ? 8 : 2 * cells.size();
      // Beyond half of the columns a hash table saves nothing.
      if (static_cast<int64_t>(2 * size) > columns)
        size = static_cast<size_t>(columns);
      std::vector<Cell> old(size);
      old.swap(cells);
      for (const Cell &cell : old)
        if (cell.column >= 0)
          (isPlain(columns) ? cells[cell.column] : probe(cell.column)) = cell;
    }

    std::vector<Cell> cells;
    int64_t used = 0;
  };

  CoactivationTable(int64_t rows, int64_t columns)
      : rowList(rows), numColumns(columns) {}

  int64_t rows() const { return static_cast<int64_t>(rowList.size()); }
  int64_t columns() const { return numColumns; }
  Cell &at(int64_t row, int32_t column) {
    return rowList[row].at(column, numColumns);
  }
  const Cell *find(int64_t row, int32_t column) const {
    return rowList[row].find(column, numColumns);
  }
  const Row &row(int64_t i) const { return rowList[i]; }
  int64_t size() const {
    int64_t total = 0;
    for (const Row &row : rowList)
      total += row.size();
    return total;
  }

private:
  std::vector<Row> rowList;
  int64_t numColumns;
};

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_COACTIVATIONTABLE_H
