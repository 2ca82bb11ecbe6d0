/* The plot: transit on a logarithmic scale, loss as bars from below, both against the rate. */
#include <math.h>
#include <stdio.h>

#include "bench/report.h"

enum {
	WIDTH = 800,
	HEIGHT = 460,
	LEFT = 70,
	RIGHT = 60,
	TOP = 40,
	BOTTOM = 60,
	DECADES = 5, /* 1 us to 100 ms */
	RATE_TICKS = 5,
	BAR_WIDTH = 12,
	LEGEND_STEP = 130,
	NS_PER_US_ = 1000,
};

static double x_of(double rate, double rate_max)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * rate / rate_max;
}

static double y_of(uint64_t ns)
{
	double decades = ns > NS_PER_US_ ? log10((double)ns / NS_PER_US_) : 0;
	double share = decades < DECADES ? decades / DECADES : 1;
	return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share;
}

static void draw_axes(FILE *out, const struct options *o, double rate_max)
{
	static const char *const labels[DECADES + 1] = { "1 us", "10 us", "100 us",
							 "1 ms", "10 ms", "100 ms" };
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		WIDTH, HEIGHT);
	fprintf(out,
		"<text x=\"%d\" y=\"20\" font-size=\"14\">%s: %u pairs, %u bytes, trains of %u"
		"</text>\n",
		LEFT, o->scenario.name, o->scenario.pairs, o->scenario.size, o->scenario.train);
	for (int d = 0; d <= DECADES; d++) {
		double y = HEIGHT - BOTTOM - (double)(HEIGHT - TOP - BOTTOM) * d / DECADES;
		fprintf(out,
			"<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>"
			"<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
			LEFT, y, WIDTH - RIGHT, y, LEFT - 8, y + 4, labels[d]);
		fprintf(out, "<text x=\"%d\" y=\"%.1f\" fill=\"#c33\">%d %%</text>\n",
			WIDTH - RIGHT + 8, y + 4, 100 * d / DECADES);
	}
	for (int t = 0; t <= RATE_TICKS; t++) {
		double rate = rate_max * t / RATE_TICKS;
		fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n",
			x_of(rate, rate_max), HEIGHT - BOTTOM + 20, rate);
	}
	fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">packets a second</text>\n",
		WIDTH / 2, HEIGHT - 15);
}

static void draw_line(FILE *out, const struct figures *rows, size_t count, double rate_max,
		      bool is_p99)
{
	fprintf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"",
		is_p99 ? "#e80" : "#06c");
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%.1f,%.1f ", x_of(rows[i].rate, rate_max),
			y_of(is_p99 ? rows[i].transit_p99_ns : rows[i].transit_p50_ns));
	fprintf(out, "\"/>\n");
}

static void draw_loss(FILE *out, const struct figures *rows, size_t count, double rate_max)
{
	for (size_t i = 0; i < count; i++) {
		double height = (HEIGHT - TOP - BOTTOM) * rows[i].loss;
		double x = x_of(rows[i].rate, rate_max);
		fprintf(out,
			"<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" "
			"fill=\"#c33\" fill-opacity=\"0.5\"/>\n",
			x - BAR_WIDTH / 2.0, HEIGHT - BOTTOM - height, BAR_WIDTH, height);
		if (rows[i].doubt != NULL)
			fprintf(out,
				"<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" "
				"fill=\"#888\">generator</text>\n",
				x, TOP - 4);
	}
}

static void draw_legend(FILE *out)
{
	static const struct {
		const char *text, *colour;
	} entries[] = {
		{ "transit p50", "#06c" },
		{ "transit p99", "#e80" },
		{ "loss", "#c33" },
	};
	for (int i = 0; i < 3; i++)
		fprintf(out, "<text x=\"%d\" y=\"20\" fill=\"%s\">%s</text>\n",
			WIDTH / 2 + i * LEGEND_STEP, entries[i].colour, entries[i].text);
}

bool report_plot(const char *path, const struct options *o, const struct figures *rows,
		 size_t count)
{
	double rate_max = 1;
	FILE *out = fopen(path, "we");
	if (out == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		rate_max = rows[i].rate > rate_max ? rows[i].rate : rate_max;
	draw_axes(out, o, rate_max);
	draw_loss(out, rows, count, rate_max);
	draw_line(out, rows, count, rate_max, false);
	draw_line(out, rows, count, rate_max, true);
	draw_legend(out);
	fprintf(out, "</svg>\n");
	bool is_written = ferror(out) == 0;
	return fclose(out) == 0 && is_written;
}
