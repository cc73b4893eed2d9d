{
  "patcher": {
    "fileversion": 1,
    "appversion": {
      "major": 8,
      "minor": 6,
      "revision": 0,
      "architecture": "x64",
      "modernui": 1
    },
    "classnamespace": "box",
    "rect": [
      80.0,
      80.0,
      820.0,
      420.0
    ],
    "boxes": [
      {
        "box": {
          "id": "note",
          "maxclass": "comment",
          "numinlets": 1,
          "numoutlets": 0,
          "patching_rect": [
            20.0,
            15.0,
            560.0,
            22.0
          ],
          "text": "mimamba serve --osc-out 127.0.0.1:9000. Pitch follows valence; silent while the model abstains. Not a medical device."
        }
      },
      {
        "box": {
          "id": "in",
          "maxclass": "newobj",
          "numinlets": 1,
          "numoutlets": 1,
          "patching_rect": [
            20.0,
            60.0,
            180.0,
            22.0
          ],
          "text": "udpreceive 9000",
          "outlettype": [
            ""
          ]
        }
      },
      {
        "box": {
          "id": "route",
          "maxclass": "newobj",
          "numinlets": 1,
          "numoutlets": 4,
          "patching_rect": [
            20.0,
            100.0,
            640.0,
            22.0
          ],
          "text": "route /mimamba/simulate-1/prediction/valence/high /mimamba/simulate-1/prediction/status /mimamba/simulate-1/prediction/reason",
          "outlettype": [
            "",
            "",
            "",
            ""
          ]
        }
      },
      {
        "box": {
          "id": "pitch",
          "maxclass": "newobj",
          "numinlets": 1,
          "numoutlets": 1,
          "patching_rect": [
            20.0,
            150.0,
            180.0,
            22.0
          ],
          "text": "expr 220. * pow(4.\\, $f1)",
          "outlettype": [
            ""
          ]
        }
      },
      {
        "box": {
          "id": "cycle",
          "maxclass": "newobj",
          "numinlets": 2,
          "numoutlets": 1,
          "patching_rect": [
            20.0,
            190.0,
            180.0,
            22.0
          ],
          "text": "cycle~ 220",
          "outlettype": [
            "signal"
          ]
        }
      },
      {
        "box": {
          "id": "ok",
          "maxclass": "newobj",
          "numinlets": 2,
          "numoutlets": 2,
          "patching_rect": [
            320.0,
            150.0,
            180.0,
            22.0
          ],
          "text": "sel ok",
          "outlettype": [
            "bang",
            ""
          ]
        }
      },
      {
        "box": {
          "id": "on",
          "maxclass": "message",
          "numinlets": 2,
          "numoutlets": 1,
          "patching_rect": [
            320.0,
            190.0,
            60.0,
            22.0
          ],
          "text": "0.2 50",
          "outlettype": [
            ""
          ]
        }
      },
      {
        "box": {
          "id": "off",
          "maxclass": "message",
          "numinlets": 2,
          "numoutlets": 1,
          "patching_rect": [
            400.0,
            190.0,
            60.0,
            22.0
          ],
          "text": "0. 50",
          "outlettype": [
            ""
          ]
        }
      },
      {
        "box": {
          "id": "line",
          "maxclass": "newobj",
          "numinlets": 2,
          "numoutlets": 2,
          "patching_rect": [
            320.0,
            230.0,
            180.0,
            22.0
          ],
          "text": "line~",
          "outlettype": [
            "signal",
            "bang"
          ]
        }
      },
      {
        "box": {
          "id": "gain",
          "maxclass": "newobj",
          "numinlets": 2,
          "numoutlets": 1,
          "patching_rect": [
            20.0,
            270.0,
            180.0,
            22.0
          ],
          "text": "*~",
          "outlettype": [
            "signal"
          ]
        }
      },
      {
        "box": {
          "id": "out",
          "maxclass": "ezdac~",
          "numinlets": 2,
          "numoutlets": 0,
          "patching_rect": [
            20.0,
            310.0,
            45.0,
            22.0
          ]
        }
      },
      {
        "box": {
          "id": "why",
          "maxclass": "newobj",
          "numinlets": 1,
          "numoutlets": 1,
          "patching_rect": [
            500.0,
            150.0,
            180.0,
            22.0
          ],
          "text": "prepend set",
          "outlettype": [
            ""
          ]
        }
      },
      {
        "box": {
          "id": "reason",
          "maxclass": "message",
          "numinlets": 2,
          "numoutlets": 1,
          "patching_rect": [
            500.0,
            190.0,
            260.0,
            22.0
          ],
          "outlettype": [
            ""
          ]
        }
      }
    ],
    "lines": [
      {
        "patchline": {
          "source": [
            "in",
            0
          ],
          "destination": [
            "route",
            0
          ]
        }
      },
      {
        "patchline": {
          "source": [
            "route",
            0
          ],
          "destination": [
            "pitch",
            0
          ]
        }
      },
      {
        "patchline": {
          "source": [
            "pitch",
            0
          ],
          "destination": [
            "cycle",
            0
          ]
        }
      },
      {
        "patchline": {
          "source": [
            "cycle",
            0
          ],
          "destination": [
            "gain",
            0
          ]
        }
      },
      {
        "patchline": {
          "source": [
            "route",
            1
          ],
          "destination": [
            "ok",
            0
          ]
        }
      },
      {
        "patchline": {
          "source": [
            "ok",
            0
          ],
          "destination": [
            "on",
            0
          ]
        }
      },
      {
        "patchline": {
          "source": [
            "ok",
            1
          ],
          "destination": [
            "off",
            0
          ]
        }
      },
      {
        "patchline": {
          "source": [
            "on",
            0
          ],
          "destination": [
            "line",
            0
          ]
        }
      },
      {
        "patchline": {
          "source": [
            "off",
            0
          ],
          "destination": [
            "line",
            0
          ]
        }
      },
      {
        "patchline": {
          "source": [
            "line",
            0
          ],
          "destination": [
            "gain",
            1
          ]
        }
      },
      {
        "patchline": {
          "source": [
            "gain",
            0
          ],
          "destination": [
            "out",
            0
          ]
        }
      },
      {
        "patchline": {
          "source": [
            "gain",
            0
          ],
          "destination": [
            "out",
            1
          ]
        }
      },
      {
        "patchline": {
          "source": [
            "route",
            2
          ],
          "destination": [
            "why",
            0
          ]
        }
      },
      {
        "patchline": {
          "source": [
            "why",
            0
          ],
          "destination": [
            "reason",
            0
          ]
        }
      }
    ]
  }
}
