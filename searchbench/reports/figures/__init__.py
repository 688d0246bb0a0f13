"""Figures as plain records, drawn by Plotly on the page and as SVG for papers."""
